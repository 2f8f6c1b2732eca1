/* SPDX-License-Identifier: Apache-2.0 */
/* One error: plain data without pointers, so that the child can send it as one message and the caller prints it as its own.
 *
 * Convention: `int f(..., struct err *e)` returns >= 0 on success and -errno on failure. The number is for the program, `*e` is for the
 * human; it is written once, by the first function that knows why the call was made. Nobody logs an error and returns it. */
#ifndef HULL_BASE_ERR_H
#define HULL_BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

enum err_kind {
	ERR_NONE,
	ERR_SYS,         /* a system call failed */
	ERR_CONFIG,      /* the configuration is wrong; `path` names the place */
	ERR_USAGE,       /* the command line is wrong */
	ERR_STATE,       /* the container is not in a state that allows it */
	ERR_PEER,        /* another process broke the protocol or died */
	ERR_UNSUPPORTED, /* asked for something that this build or kernel can't do */
	ERR_BUG,
	ERR_KIND_MAX
};

struct err {
	uint16_t kind;
	uint16_t step;   /* plan step + 1, 0 = none */
	int32_t code;    /* errno value or 0; its text is added when rendered, never stored */
	char path[160];  /* JSON path: "mounts[3].options[1]", or "" */
	char msg[760];   /* outer context first: "mount proc on /proc" */
	char kernel[96]; /* what the kernel said beside errno (fs context log, verifier), or "" */
};

#define ERR_RENDER_MAX 4096

/* Fill *e and return -code, or -EINVAL where `code` is 0 (no errno text is rendered then). */
int err_set(struct err *e, enum err_kind kind, int code, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* A failed call: `r` is -errno; fills *e with it and returns it. */
int err_sys(struct err *e, int r, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The configuration is wrong at JSON path `path`; returns -EINVAL. */
int err_config(struct err *e, const char *path, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Put an outer layer in front of what *e says ("create c1"); returns `r`. For API borders. */
int err_wrap(struct err *e, int r, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Note the JSON path unless one is already there; returns `r`. */
int err_at(struct err *e, int r, const char *path);

/* One line without a newline: MSG: ERRNO TEXT (PATH), for ERR_CONFIG "config.json: PATH: MSG". Foreign bytes (control characters, invalid
 * UTF-8) become \xNN. Returns buf. */
const char *err_render(const struct err *e, char *buf, size_t size);

/* The text of an errno in the words and lower case of Go ("no such file or directory"): engines match them. Never NULL. */
const char *err_text(int code);

/* Copy `s` to buf, bytes below 0x20, 0x7f and invalid UTF-8 written as \xNN, cut at a whole character when it doesn't fit. Returns buf. */
const char *err_escape(const char *s, char *buf, size_t size);

/* Make what came from another process safe to print: terminate every text, bring `kind` into range. */
void err_sanitize(struct err *e);

#endif
