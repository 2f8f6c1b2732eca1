/* SPDX-License-Identifier: Apache-2.0 */
/* Command-line options as tables: one row per option; the parser, the help text and the tests read the same rows.
 *
 * Spellings: --opt VALUE, --opt=VALUE, the same with one dash (what Go programs send), -o VALUE, -oVALUE, -o=VALUE,
 * bundled letters (-dt),
 * and =true or =false on every flag. An option given twice: the last one counts; an empty value is as if the option
 * hadn't been given. */
#ifndef HULL_CLI_OPTS_H
#define HULL_CLI_OPTS_H

#include "base/err.h"
#include "ocispec/arena.h"
#include "ocispec/runtime.h"

enum opt_kind {
	OPT_FLAG, /* bool */
	OPT_STR, /* const char * */
	OPT_UINT, /* unsigned */
	OPT_DURATION, /* struct opt_u32: milliseconds */
	OPT_LIST, /* struct opt_list: may be given again */
	OPT_CSV, /* struct opt_list: may be given again, and each value is split at commas */
	OPT_REFUSE, /* of a later version: an error that says `help`; nothing is stored */
	OPT_KIND_MAX
};

struct opt {
	const char *name;
	char letter; /* 0 = none */
	uint8_t kind; /* enum opt_kind */
	uint16_t offset; /* of the target in the command's struct */
	const char *arg; /* what the help calls the value; NULL for a flag */
	const char *help; /* NULL: another spelling, not in the help */
};

struct opt_list {
	const char **v;
	size_t n, room;
};

/* A row's offset; doesn't compile when the member isn't of the type that the kind stores. */
#define OPT_AT(T, m, ctype) ((uint16_t)(offsetof(T, m) + 0 * sizeof(_Generic(&((T *)0)->m, ctype * : 1))))
#define O_FLAG(T, m, name, letter, help)                               \
	{                                                              \
		name, letter, OPT_FLAG, OPT_AT(T, m, bool), NULL, help \
	}
#define O_STR(T, m, name, letter, arg, help)                                 \
	{                                                                    \
		name, letter, OPT_STR, OPT_AT(T, m, const char *), arg, help \
	}
#define O_UINT(T, m, name, letter, arg, help)                             \
	{                                                                 \
		name, letter, OPT_UINT, OPT_AT(T, m, unsigned), arg, help \
	}
#define O_DURATION(T, m, name, letter, arg, help)                                   \
	{                                                                           \
		name, letter, OPT_DURATION, OPT_AT(T, m, struct opt_u32), arg, help \
	}
#define O_LIST(T, m, name, letter, arg, help)                                    \
	{                                                                        \
		name, letter, OPT_LIST, OPT_AT(T, m, struct opt_list), arg, help \
	}
#define O_CSV(T, m, name, letter, arg, help)                                    \
	{                                                                       \
		name, letter, OPT_CSV, OPT_AT(T, m, struct opt_list), arg, help \
	}
/* `arg` NULL: a flag; `why` completes "--name: ". */
#define O_REFUSE(name, letter, arg, why)              \
	{                                             \
		name, letter, OPT_REFUSE, 0, arg, why \
	}

/* One table and the struct that its rows fill. Earlier sets win when a name is in two. */
struct opt_set {
	const struct opt *v;
	size_t n;
	void *into;
	bool long_only; /* its letters don't count: a global option after the command */
};

struct opts {
	const struct opt_set *sets;
	size_t n_sets;
	bool stops; /* the first argument ends the options: all that follows are arguments */
	struct oci_arena *arena;
};

#define OPT_UINT_MAX 1048576

/* Sort the NULL-terminated `argv` (without a program name) into options, stored in the sets' structs, and arguments:
 * *ret_args, in the arena
 * and NULL-terminated, *ret_n of them. "--" ends the options. Strings point into argv. Returns 0 or -errno with *e
 * (ERR_USAGE). */
int opts_parse(const struct opts *o, char *const *argv, const char ***ret_args, size_t *ret_n, struct err *e);
/* true, false, 1, 0, yes, no, t, f in any case. Returns 0 or -EINVAL. */
int opts_parse_bool(const char *s, bool *ret);
/* A time as Go programs write it ("5s", "1.5s", "1m30s", "250ms"), or a bare number of seconds, in milliseconds: up to
 * INT32_MAX, a part of one counts as one. Returns 0 or -EINVAL. */
int opts_parse_duration(const char *s, uint32_t *ret_ms);
/* The help of a table: one line "  -b, --bundle PATH   help" a row, refused ones left out. In the arena; NULL
 * without memory. */
const char *opts_help(const struct opt_set *set, struct oci_arena *a);

#endif
