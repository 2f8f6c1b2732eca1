/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static int parse_base(const char *s, unsigned base, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (const char *p = s; *p; p++) {
		unsigned digit = (unsigned)(*p - '0');
		if (*p < '0' || digit >= base)
			return -EINVAL;
	}
	for (; *s; s++) {
		unsigned digit = (unsigned)(*s - '0');
		if (v > (UINT64_MAX - digit) / base)
			return -ERANGE;
		v = v * base + digit;
		if (v > max)
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

int num_parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
	return parse_base(s, 10, max, ret);
}

int num_parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	uint64_t v;
	int r = parse_base(*s == '-' ? s + 1 : s, 10, *s == '-' ? (uint64_t)INT64_MAX + 1 : INT64_MAX, &v);

	if (r < 0)
		return r;
	int64_t x = *s == '-' ? (int64_t)(0 - v) : (int64_t)v;
	if (x < min || x > max)
		return -ERANGE;
	*ret = x;
	return 0;
}

int num_parse_octal(const char *s, uint32_t max, uint32_t *ret)
{
	uint64_t v;
	int r = parse_base(s, 8, max, &v);

	if (r == 0)
		*ret = (uint32_t)v;
	return r;
}

static int take_number(const char **s, uint64_t *ret)
{
	if (**s < '0' || **s > '9')
		return -EINVAL;
	for (*ret = 0; **s >= '0' && **s <= '9'; (*s)++) {
		unsigned digit = (unsigned)(**s - '0');
		*ret = *ret > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *ret * 10 + digit;
	}
	return 0;
}

int num_take_range(const char **s, uint64_t *ret_first, uint64_t *ret_last)
{
	const char *p = *s;
	int r = take_number(&p, ret_first);

	*ret_last = *ret_first;
	if (r == 0 && *p == '-') {
		p++;
		r = take_number(&p, ret_last);
	}
	if (r == 0)
		*s = p;
	return r;
}

/* What stands behind the number: how often to multiply by 1024, or -EINVAL. */
static int parse_suffix(const char *s)
{
	static const char letters[] = "kmgtp";
	int times = 0;

	for (int i = 0; letters[i] && *s; i++)
		if ((*s | 0x20) == letters[i])
			times = i + 1;
	if (times) {
		s++;
		if ((*s | 0x20) == 'i' && (s[1] | 0x20) == 'b')
			s++;
	}
	if ((*s | 0x20) == 'b')
		s++;
	return *s ? -EINVAL : times;
}

int num_parse_size(const char *s, uint64_t *ret)
{
	unsigned __int128 v = 0, divisor = 1;
	bool fraction = false;
	size_t digits = 0;

	for (; (*s >= '0' && *s <= '9') || (*s == '.' && !fraction && digits); s++) {
		if (*s == '.') {
			fraction = true;
			continue;
		}
		if (++digits > 19)
			return -ERANGE;
		v = v * 10 + (unsigned)(*s - '0');
		divisor *= fraction ? 10 : 1;
	}
	int times = digits ? parse_suffix(s) : -EINVAL;
	if (times < 0)
		return times;
	v = (v << (10 * times)) / divisor;
	if (v > INT64_MAX)
		return -ERANGE;
	*ret = (uint64_t)v;
	return 0;
}

unsigned num_print_u64(char *buf, uint64_t v)
{
	char tmp[NUM_U64_MAX_CHARS];
	unsigned n = 0;

	do
		tmp[n++] = (char)('0' + v % 10);
	while (v /= 10);
	for (unsigned i = 0; i < n; i++)
		buf[i] = tmp[n - 1 - i];
	buf[n] = '\0';
	return n;
}

uint64_t num_sum64(uint64_t sum, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ p[i]) * UINT64_C(0x100000001b3);
	return sum;
}
