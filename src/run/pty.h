/* SPDX-License-Identifier: Apache-2.0 */
/* Copy between the caller's standard streams and a pty's master: never blocks, never spins, loses no byte. */
#ifndef HULL_RUN_PTY_H
#define HULL_RUN_PTY_H

#include <poll.h>
#include <termios.h>

#include "base/err.h"

#define PTY_BUF_SIZE 16384
#define PTY_POLL_FDS 3

/* One direction: bytes read and not yet written. */
struct pty_flow {
	char buf[PTY_BUF_SIZE];
	size_t pos, len;
	bool from_gone; /* nothing more will be read */
	bool to_gone; /* nobody takes what is read: it is dropped */
};

/* A standard stream of ours: `fd` is what we use, non-blocking. */
struct pty_end {
	int fd;
	int reopened; /* our own open file of the same object, -1 when fd is the caller's */
	int flags; /* the caller's, to be put back; -1 when untouched */
};

struct pty {
	int master;
	int master_flags;
	struct pty_end in, out;
	struct pty_flow up; /* stdin → master */
	struct pty_flow down; /* master → stdout */
	char last_up; /* last byte given to the master */
	bool eof_due; /* stdin has ended: the terminal's end-of-file character is still to be written */
	bool hung_up; /* no process has the slave open now; one may open it again */
	bool ended; /* the process has gone: what the master holds is the last */
	bool master_empty; /* after `ended`: all of it has been read */
	bool raw; /* the caller's terminal is in raw mode, `caller` holds its settings */
	bool background; /* stdin is our terminal, but another job has it: neither read nor set */
	struct termios caller;
};

/* Before the program starts: the size of the caller's terminal, and LF stays LF, because the caller's terminal makes CR LF of it and a file wants none. A pty
 * that goes to a console socket keeps the kernel's settings: engines' clients put their own terminal into raw mode, where nobody else adds the CR. */
int pty_prepare(int master, struct err *e);
/* Put the caller's terminal (when stdin is one) into raw mode, give the pty its size, make all ends non-blocking.
 * Undone by pty_finish. */
int pty_begin(struct pty *p, int master, struct err *e);
void pty_finish(struct pty *p);
/* Give a pty the size of the caller's terminal, if it has one. */
void pty_size_of_caller(int master);
/* After SIGCONT: the shell may have set the terminal back, and its size may be another. */
void pty_continue(struct pty *p);
/* Fill PTY_POLL_FDS entries. Returns the timeout for poll, ms. */
int pty_poll_set(const struct pty *p, struct pollfd *v);
/* Copy what can be copied after poll. */
void pty_copy(struct pty *p, const struct pollfd *v);
/* The process has ended: stdin is left alone from now on. */
void pty_end(struct pty *p);
/* Everything that was written to the slave has been delivered or has nobody to go to. */
bool pty_drained(const struct pty *p);

#endif
