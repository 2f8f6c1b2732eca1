/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <strings.h>

#include "base/num.h"

/* The kernel's numbers, not the C library's: it keeps the first real-time signals for itself. */
#define KERNEL_RTMIN 32
#define KERNEL_RTMAX 64
/* What the C library calls SIGRTMIN; people count from there (kill -l, signal(7)). */
#define LIBC_RTMIN 34

static const struct {
	const char *name;
	int sig;
} names[] = {
	{ "HUP", SIGHUP },
	{ "INT", SIGINT },
	{ "QUIT", SIGQUIT },
	{ "ILL", SIGILL },
	{ "TRAP", SIGTRAP },
	{ "ABRT", SIGABRT },
	{ "IOT", SIGABRT },
	{ "BUS", SIGBUS },
	{ "FPE", SIGFPE },
	{ "KILL", SIGKILL },
	{ "USR1", SIGUSR1 },
	{ "SEGV", SIGSEGV },
	{ "USR2", SIGUSR2 },
	{ "PIPE", SIGPIPE },
	{ "ALRM", SIGALRM },
	{ "TERM", SIGTERM },
#ifdef SIGSTKFLT
	{ "STKFLT", SIGSTKFLT },
#endif
	{ "CHLD", SIGCHLD },
	{ "CLD", SIGCHLD },
	{ "CONT", SIGCONT },
	{ "STOP", SIGSTOP },
	{ "TSTP", SIGTSTP },
	{ "TTIN", SIGTTIN },
	{ "TTOU", SIGTTOU },
	{ "URG", SIGURG },
	{ "XCPU", SIGXCPU },
	{ "XFSZ", SIGXFSZ },
	{ "VTALRM", SIGVTALRM },
	{ "PROF", SIGPROF },
	{ "WINCH", SIGWINCH },
	{ "IO", SIGIO },
	{ "POLL", SIGIO },
	{ "PWR", SIGPWR },
	{ "SYS", SIGSYS },
};

/* `s` is behind "RTMIN" or "RTMAX": "", "+3" or "-2". */
static int parse_offset(const char *s, int base, char sign, int *ret)
{
	uint64_t n = 0;

	if (*s && (*s != sign || num_parse_u64(s + 1, KERNEL_RTMAX, &n) < 0))
		return -EINVAL;
	int sig = sign == '+' ? base + (int)n : base - (int)n;
	if (sig < KERNEL_RTMIN || sig > KERNEL_RTMAX)
		return -EINVAL;
	*ret = sig;
	return 0;
}

static int parse_name(const char *s, int *ret)
{
	if (strncasecmp(s, "SIG", 3) == 0)
		s += 3;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcasecmp(s, names[i].name) == 0) {
			*ret = names[i].sig;
			return 0;
		}
	}
	if (strncasecmp(s, "RTMIN", 5) == 0)
		return parse_offset(s + 5, LIBC_RTMIN, '+', ret);
	if (strncasecmp(s, "RTMAX", 5) == 0)
		return parse_offset(s + 5, KERNEL_RTMAX, '-', ret);
	return -EINVAL;
}

int signal_parse(const char *s, int *ret, struct err *e)
{
	uint64_t n;

	if (num_parse_u64(s, KERNEL_RTMAX, &n) == 0) {
		*ret = (int)n;
		return 0;
	}
	if (parse_name(s, ret) < 0)
		return err_set(e, ERR_USAGE, 0, "unknown signal \"%s\": not a name or a number up to %d", s,
			       KERNEL_RTMAX);
	return 0;
}
