/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a JSON number → its exact value. No double, no locale, no errno is involved: 2^53 + 1 stays
 * what it is. */
#include "engine.h"

bool oci_number_read(const char *s, size_t len, struct oci_number *ret)
{
	size_t i = 0;

	*ret = (struct oci_number){ 0 };
	if (len && s[0] == '-') {
		ret->neg = true;
		i = 1;
	}
	for (; i < len; i++) {
		unsigned digit = (unsigned)(unsigned char)s[i] - '0';

		if (digit > 9)
			return false;
		if (ret->mag > (UINT64_MAX - digit) / 10)
			ret->huge = true;
		else
			ret->mag = ret->mag * 10 + digit;
	}
	if (ret->huge)
		return true;
	if (ret->mag == 0)
		ret->neg = false; /* -0 is 0 */
	return true;
}

bool oci_number_within(const struct oci_number *n, int64_t lo, uint64_t hi)
{
	if (n->huge)
		return false;
	if (n->neg)
		return lo < 0 && n->mag <= (uint64_t)-(lo + 1) + 1;
	return n->mag <= hi && (lo <= 0 || n->mag >= (uint64_t)lo);
}
