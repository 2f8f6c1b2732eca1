/* SPDX-License-Identifier: Apache-2.0 */
/* What every libcheck program here shares. Each test runs in a process of its own with a time limit; the result line
 * ("100%: Checks: 12, Failures: 0, Errors: 0") is what `./dev` counts. */
#ifndef HULL_TESTS_UNIT_H
#define HULL_TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

/* A reproducible stream of numbers (xorshift64): a failing test fails again. */
static inline uint64_t unit_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline uint64_t unit_below(uint64_t *state, uint64_t n)
{
	return unit_random(state) % n;
}

static inline int unit_run(Suite *s)
{
	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
