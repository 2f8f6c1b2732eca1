/* SPDX-License-Identifier: Apache-2.0 */
/* Strict UTF-8 and \u escapes. yajl lets overlong forms and surrogates pass and turns half a surrogate pair into '?';
 * a value that isn't exactly what the document says must not reach the kernel. */
#include "engine.h"

#include <string.h>

static bool is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* RFC 3629, section 4: which second byte may follow a lead byte. */
static bool second_byte_ok(unsigned char lead, unsigned char c)
{
	switch (lead) {
	case 0xe0:
		return c >= 0xa0 && c <= 0xbf;
	case 0xed:
		return c >= 0x80 && c <= 0x9f;
	case 0xf0:
		return c >= 0x90 && c <= 0xbf;
	case 0xf4:
		return c >= 0x80 && c <= 0x8f;
	default:
		return is_continuation(c);
	}
}

size_t oci_utf8_sequence(const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *)str;
	size_t n;

	if (!len)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (len < n || !second_byte_ok(s[0], s[1]))
		return 0;
	for (size_t i = 2; i < n; i++)
		if (!is_continuation(s[i]))
			return 0;
	return n;
}

bool oci_utf8_valid(const char *s, size_t len)
{
	const uint64_t high_bits = UINT64_C(0x8080808080808080);

	for (size_t i = 0; i < len;) {
		uint64_t word;
		size_t n;

		if (len - i >= sizeof(word)) {
			memcpy(&word, s + i, sizeof(word));
			if (!(word & high_bits)) {
				i += sizeof(word);
				continue;
			}
		}
		if (!((unsigned char)s[i] & 0x80)) {
			i++;
			continue;
		}
		n = oci_utf8_sequence(s + i, len - i);
		if (!n)
			return false;
		i += n;
	}
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of the \uXXXX at `s`, or -1 when there is none. */
static int escape_unit(const char *s, size_t len)
{
	int unit = 0;

	if (len < 6 || s[0] != '\\' || s[1] != 'u')
		return -1;
	for (size_t i = 2; i < 6; i++) {
		int digit = hex_digit(s[i]);

		if (digit < 0)
			return -1;
		unit = unit * 16 + digit;
	}
	return unit;
}

size_t oci_escape_scan(const char *s, size_t len, const char **ret_why)
{
	for (size_t i = 0; i < len;) {
		const char *slash = memchr(s + i, '\\', len - i);
		int unit, low;

		if (!slash)
			return len;
		i = (size_t)(slash - s);
		unit = escape_unit(slash, len - i);
		if (unit == 0) {
			*ret_why = "a NUL character can't be part of a string";
			return i;
		}
		if (unit < 0xd800 || unit > 0xdfff) { /* other escapes are two bytes or yajl's business */
			i += unit < 0 ? 2 : 6;
			continue;
		}
		low = escape_unit(slash + 6, len - i > 6 ? len - i - 6 : 0);
		if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) {
			*ret_why = "half of a surrogate pair is no character";
			return i;
		}
		i += 12;
	}
	return len;
}
