/* SPDX-License-Identifier: Apache-2.0 */
/* The clock that deadlines and durations are measured with: CLOCK_MONOTONIC, which nobody sets. */
#ifndef HULL_BASE_CLOCK_H
#define HULL_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_now_ns(void);
int64_t clock_now_ms(void);

#endif
