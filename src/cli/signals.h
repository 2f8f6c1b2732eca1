/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HULL_CLI_SIGNALS_H
#define HULL_CLI_SIGNALS_H

#include "base/err.h"

/* "9", "KILL", "SIGKILL" in any case, "RTMIN+3", "SIGRTMAX-1" → the signal's number (0 to 64). Returns 0 or -errno. */
int signal_parse(const char *s, int *ret, struct err *e);

#endif
