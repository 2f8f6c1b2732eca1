/* SPDX-License-Identifier: Apache-2.0 */
#include "run/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

enum { POLL_IN,
       POLL_MASTER,
       POLL_OUT };

/* While no process has the slave open, poll reports a hang-up without end: look again from time to time instead. The
 * same while we are
 * a background job, for no signal tells that we have become the foreground one. */
#define LOOK_AGAIN_MS 100

/* ---- the ends ---- */

static int set_nonblock(int fd, int *ret_flags)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	*ret_flags = -1;
	if (flags & O_NONBLOCK)
		return 0;
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	*ret_flags = flags;
	return 0;
}

/* O_NONBLOCK belongs to the open file, which we share with the caller's shell: terminals and pipes are opened once
 * more, for ourselves.
 * Regular files are not (their offset would begin anew), and never make anyone wait. A socket or an object that we
 * may not open again
 * gets the flag for the time being. */
static int end_open(struct pty_end *end, int fd, int mode, const char *name, struct err *e)
{
	char path[64];
	struct stat st;

	*end = (struct pty_end){ .fd = fd, .reopened = -1, .flags = -1 };
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "look at standard %s", name);
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode))
		return 0;
	if (S_ISFIFO(st.st_mode) || isatty(fd)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		end->reopened = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (end->reopened >= 0) {
			end->fd = end->reopened;
			return 0;
		}
	}
	int r = set_nonblock(fd, &end->flags);
	return r < 0 ? err_sys(e, r, "prepare standard %s", name) : 0;
}

static void end_close(struct pty_end *end, int fd)
{
	fd_close(&end->reopened);
	if (end->flags >= 0)
		fcntl(fd, F_SETFL, end->flags);
}

/* A background job that reads its terminal gets EIO (we block SIGTTIN), and one that sets it spoils the shell's. */
static bool in_background(void)
{
	pid_t group = tcgetpgrp(STDIN_FILENO);

	return group >= 0 && group != getpgrp();
}

static int make_raw(struct pty *p, struct err *e)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO))
		return 0;
	p->background = in_background();
	if (p->background)
		return 0;
	if (!p->raw && tcgetattr(STDIN_FILENO, &p->caller) < 0)
		return err_sys(e, -errno, "read the terminal's settings");
	raw = p->caller;
	cfmakeraw(&raw);
	/* Turning LF into CR LF stays with this terminal (see pty_prepare). */
	raw.c_oflag = p->caller.c_oflag;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		return err_sys(e, -errno, "put the terminal into raw mode");
	p->raw = true;
	return 0;
}

void pty_continue(struct pty *p)
{
	struct err e = { 0 };
	char msg[ERR_RENDER_MAX];

	if (make_raw(p, &e) < 0)
		log_warn("%s", err_render(&e, msg, sizeof(msg)));
	pty_size_of_caller(p->master);
}

int pty_begin(struct pty *p, int master, struct err *e)
{
	*p = (struct pty){ .master = master, .master_flags = -1, .last_up = '\n' };
	p->in = p->out = (struct pty_end){ .fd = -1, .reopened = -1, .flags = -1 };
	int r = set_nonblock(master, &p->master_flags);
	if (r < 0)
		return err_sys(e, r, "prepare the container's terminal");
	r = end_open(&p->in, STDIN_FILENO, O_RDONLY, "input", e);
	if (r == 0)
		r = end_open(&p->out, STDOUT_FILENO, O_WRONLY, "output", e);
	if (r == 0)
		r = make_raw(p, e);
	if (r < 0) {
		pty_finish(p);
		return r;
	}
	pty_size_of_caller(p->master);
	return 0;
}

void pty_finish(struct pty *p)
{
	if (p->raw && !in_background())
		tcsetattr(STDIN_FILENO, TCSANOW, &p->caller);
	end_close(&p->in, STDIN_FILENO);
	end_close(&p->out, STDOUT_FILENO);
	if (p->master_flags >= 0)
		fcntl(p->master, F_SETFL, p->master_flags);
}

int pty_prepare(int master, struct err *e)
{
	struct termios t;

	if (tcgetattr(master, &t) < 0)
		return err_sys(e, -errno, "read the settings of the container's terminal");
	t.c_oflag &= ~(tcflag_t)ONLCR;
	if (tcsetattr(master, TCSANOW, &t) < 0)
		return err_sys(e, -errno, "change the settings of the container's terminal");
	pty_size_of_caller(master);
	return 0;
}

void pty_size_of_caller(int master)
{
	struct winsize size;

	for (int fd = 0; fd <= 2; fd++) {
		if (ioctl(fd, TIOCGWINSZ, &size) < 0)
			continue;
		/* 0 by 0 is a terminal that doesn't know its size (a serial line): the container's own stays. */
		if (size.ws_row && size.ws_col)
			ioctl(master, TIOCSWINSZ, &size);
		return;
	}
}

/* ---- the flows ---- */

static bool flow_wants_read(const struct pty_flow *f)
{
	return !f->from_gone && f->len < sizeof(f->buf);
}

/* Returns the number of bytes read, 0 when there are none now, -1 when there will be none any more. */
static ssize_t flow_read(struct pty_flow *f, int fd)
{
	if (f->pos) {
		memmove(f->buf, f->buf + f->pos, f->len);
		f->pos = 0;
	}
	ssize_t n = read(fd, f->buf + f->len, sizeof(f->buf) - f->len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	f->len += (size_t)n;
	if (f->to_gone)
		f->len = 0;
	return n;
}

/* Returns 0 when all is written or the rest must wait, else -errno. */
static int flow_write(struct pty_flow *f, int fd)
{
	while (f->len) {
		ssize_t n = write(fd, f->buf + f->pos, f->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && errno == EAGAIN))
			return 0;
		if (n < 0)
			return -errno;
		f->pos += (size_t)n;
		f->len -= (size_t)n;
	}
	f->pos = 0;
	return 0;
}

/* The reader has gone or the disk is full. Go on reading: the container must not stop because of it. */
static void write_down(struct pty *p)
{
	int r = flow_write(&p->down, p->out.fd);

	if (r == 0)
		return;
	if (r != -EPIPE)
		log_warn("write the container's output: %s", err_text(-r));
	p->down.to_gone = true;
	p->down.pos = p->down.len = 0;
}

/* EIO: nobody has the slave open; the bytes wait for the next who opens it. */
static void write_up(struct pty *p)
{
	if (flow_write(&p->up, p->master) < 0)
		p->hung_up = true;
}

/* ---- one round ---- */

int pty_poll_set(const struct pty *p, struct pollfd *v)
{
	bool up_waits = p->up.len || p->eof_due;
	short master = (short)((flow_wants_read(&p->down) ? POLLIN : 0) | (up_waits ? POLLOUT : 0));

	bool reads_in = !p->ended && !p->background && flow_wants_read(&p->up);

	v[POLL_IN] = (struct pollfd){ .fd = reads_in ? p->in.fd : -1, .events = POLLIN };
	/* Without interest in an end it isn't polled at all: its hang-up would be reported all the same. */
	v[POLL_MASTER] = (struct pollfd){ .fd = master && !p->hung_up ? p->master : -1, .events = master };
	v[POLL_OUT] = (struct pollfd){ .fd = p->down.len ? p->out.fd : -1, .events = POLLOUT };
	if (p->ended)
		return !p->master_empty && flow_wants_read(&p->down) ? 0 : -1;
	return p->hung_up || p->background ? LOOK_AGAIN_MS : -1;
}

/* stdin has ended: say so as a terminal does, by its end-of-file character. In the middle of a line the first one
 * only sends the line. */
static void send_eof(struct pty *p)
{
	struct termios t;

	if (tcgetattr(p->master, &t) < 0 || !(t.c_lflag & ICANON)) {
		p->eof_due = false;
		return;
	}
	char eof[2] = { (char)t.c_cc[VEOF], (char)t.c_cc[VEOF] };
	size_t n = p->last_up == '\n' ? 1 : 2;
	memcpy(p->up.buf, eof, n);
	p->up.pos = 0;
	p->up.len = n;
	p->eof_due = false;
}

static void copy_up(struct pty *p, bool readable)
{
	if (readable) {
		ssize_t n = flow_read(&p->up, p->in.fd);
		if (n > 0 && p->up.len)
			p->last_up = p->up.buf[p->up.pos + p->up.len - 1];
		if (n < 0) {
			p->up.from_gone = true;
			p->eof_due = true;
		}
	}
	write_up(p);
	if (p->eof_due && p->up.len == 0) {
		send_eof(p);
		write_up(p);
	}
}

static void copy_down(struct pty *p)
{
	if (flow_wants_read(&p->down)) {
		ssize_t n = flow_read(&p->down, p->master);
		p->hung_up = n < 0;
		/* After the process has gone, "nothing now" is the end: what others still hold open is not waited
		 * for. The kernel has moved all that
		 * was written into the master's buffer before read says EAGAIN (tty_buffer_flush_work in n_tty_read,
		 * since 4.6). */
		if (p->ended && n <= 0)
			p->master_empty = true;
	}
	write_down(p);
}

void pty_copy(struct pty *p, const struct pollfd *v)
{
	if (p->background && !in_background())
		pty_continue(p);
	copy_up(p, v[POLL_IN].fd >= 0 && v[POLL_IN].revents != 0);
	copy_down(p);
}

void pty_end(struct pty *p)
{
	p->ended = true;
	p->up.len = 0;
	p->eof_due = false;
	copy_down(p);
}

bool pty_drained(const struct pty *p)
{
	return p->master_empty && p->down.len == 0;
}
