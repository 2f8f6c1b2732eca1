/* SPDX-License-Identifier: Apache-2.0 */
/* Does what a cgroup file shows mean what was written to it? Pure.
 *
 * A write that succeeds says little: the kernel rounds to pages, clamps, reorders, and some files take a value and forget it. What it may make of a value
 * is listed here; everything else is a difference. Beside it: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1. */
#include <fnmatch.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/num.h"
#include "cgroup/internal.h"

/* From here on a byte counter is "no limit": the kernel's PAGE_COUNTER_MAX, LONG_MAX in whole pages. Huge pages round it down further. */
#define UNLIMITED (UINT64_MAX / 2 - ((uint64_t)1 << 32))
#define CPUS_MAX 8192 /* the largest CONFIG_NR_CPUS; memory nodes are fewer */

enum unit { UNIT_NONE, /* words are compared as they are, numbers by value */
	    UNIT_PAGE, /* bytes, rounded down to pages */
	    UNIT_HUGE, /* bytes, rounded down to the page size in the file's name */
	    UNIT_LIST /* a set of CPUs or memory nodes */ };

static const struct rule {
	const char *file; /* fnmatch(3) */
	enum unit unit;
	uint64_t min, max; /* the kernel moves what is outside into the range; max 0: no range */
	const char *key; /* the value stands in the line that begins with it */
	bool more; /* behind the value stands another one */
} rules[] = {
	{ "cpu.shares", UNIT_NONE, 2, 262144, NULL, false },
	{ "cpu.max", UNIT_NONE, 0, 0, NULL, true }, /* the period */
	{ "cpuset.cpus", UNIT_LIST, 0, 0, NULL, false },
	{ "cpuset.cpus.exclusive", UNIT_LIST, 0, 0, NULL, false },
	{ "cpuset.mems", UNIT_LIST, 0, 0, NULL, false },
	{ "memory.oom_control", UNIT_NONE, 0, 0, "oom_kill_disable", false },
	{ "memory.*limit_in_bytes", UNIT_PAGE, 0, 0, NULL, false },
	{ "memory.min", UNIT_PAGE, 0, 0, NULL, false },
	{ "memory.low", UNIT_PAGE, 0, 0, NULL, false },
	{ "memory.high", UNIT_PAGE, 0, 0, NULL, false },
	{ "memory.max", UNIT_PAGE, 0, 0, NULL, false },
	{ "memory.*swap.*", UNIT_PAGE, 0, 0, NULL, false },
	{ "hugetlb.*.max", UNIT_HUGE, 0, 0, NULL, false },
	{ "hugetlb.*limit_in_bytes", UNIT_HUGE, 0, 0, NULL, false },
};

static const struct rule *find_rule(const char *file)
{
	static const struct rule other;

	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (fnmatch(rules[i].file, file, 0) == 0)
			return &rules[i];
	return &other;
}

static unsigned shift_of(char letter)
{
	static const char letters[] = "KMGTPE";
	const char *at = letter ? strchr(letters, letter & ~0x20) : NULL;

	return at ? 10 * (unsigned)(at - letters + 1) : 0;
}

/* As the kernel's memparse(): decimal, octal, hexadecimal, with a suffix. */
static bool parse_bytes(const char *s, uint64_t *ret)
{
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	*ret = strtoull(s, &end, 0);
	unsigned shift = shift_of(*end);
	end += shift != 0;
	*ret <<= shift;
	return *end == '\0';
}

static uint64_t unit_bytes(const struct rule *r, const char *file)
{
	char *end;

	if (r->unit != UNIT_HUGE)
		return (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t n = strtoull(file + strlen("hugetlb."), &end, 10);
	n <<= shift_of(*end);
	return n ? n : 1;
}

static bool same_bytes(const struct rule *r, const char *file, const char *want, const char *got)
{
	uint64_t unit = unit_bytes(r, file), w = UINT64_MAX, g = UINT64_MAX;
	bool no_limit = streq(want, "max") || streq(want, "-1");

	if ((!no_limit && !parse_bytes(want, &w)) || (!streq(got, "max") && !parse_bytes(got, &g)))
		return false;
	if (w >= UNLIMITED || g >= UNLIMITED)
		return w >= UNLIMITED && g >= UNLIMITED;
	return w / unit * unit == g;
}

/* "50" and "50.00" are the same; a number outside of the rule's range becomes its end. */
static bool same_number(const struct rule *r, const char *want, const char *got)
{
	char *want_end, *got_end;
	double w = strtod(want, &want_end), g = strtod(got, &got_end);

	if (*want_end || *got_end || want_end == want || got_end == got)
		return false;
	if (r->max)
		w = w < (double)r->min ? (double)r->min : w > (double)r->max ? (double)r->max : w;
	/* Numbers that a double can't hold must be equal as text, which was looked at before. */
	return !(w < g) && !(w > g) && w < 9e15 && w > -9e15;
}

static bool same_value(const struct rule *r, const char *file, const char *want, const char *got)
{
	if (streq(want, got))
		return true;
	if (r->unit == UNIT_PAGE || r->unit == UNIT_HUGE)
		return same_bytes(r, file, want, got);
	return same_number(r, want, got);
}

/* ---- sets: "0-3,7", "0-31:1/2" ---- */

static void add_range(uint8_t *set, uint64_t from, uint64_t to, unsigned long used, unsigned long group)
{
	for (uint64_t i = from; i <= to && i < CPUS_MAX; i++)
		if ((i - from) % group < used)
			set[i / 8] |= (uint8_t)(1u << i % 8);
}

/* The number behind `mark`, where that stands at *s. */
static void take_stride(const char **s, char mark, unsigned long *ret)
{
	char *end;

	if (**s != mark)
		return;
	*ret = strtoul(*s + 1, &end, 10);
	*s = end;
}

static bool parse_set(const char *s, uint8_t set[CPUS_MAX / 8])
{
	memset(set, 0, CPUS_MAX / 8);
	while (*s && *s != '\n') {
		unsigned long used = 1, group = 1;
		uint64_t from, to;

		s += strspn(s, " ");
		if (num_take_range(&s, &from, &to) < 0)
			return false;
		take_stride(&s, ':', &used);
		take_stride(&s, '/', &group);
		if (group == 0 || (*s && *s != ',' && *s != '\n'))
			return false;
		add_range(set, from, to, used, group);
		s += *s == ',';
	}
	return true;
}

static bool same_set(const char *want, const char *got)
{
	uint8_t w[CPUS_MAX / 8], g[CPUS_MAX / 8];

	return parse_set(want, w) && parse_set(got, g) && memcmp(w, g, sizeof(w)) == 0;
}

bool cg_readback_covers(const char *outer, const char *inner)
{
	uint8_t o[CPUS_MAX / 8], i[CPUS_MAX / 8];

	if (!parse_set(outer, o) || !parse_set(inner, i))
		return false;
	for (size_t k = 0; k < sizeof(o); k++)
		if (i[k] & ~o[k])
			return false;
	return true;
}

/* ---- lines of words ---- */

#define WORDS_MAX 16

/* Split the line at `*text` in place and go on to the next one. Returns the number of words; a line has at most WORDS_MAX. */
static size_t split_line(char **text, char *words[WORDS_MAX])
{
	char *save = NULL, *line = *text, *end = strchr(line, '\n');
	size_t n = 0;

	*text = end ? end + 1 : line + strlen(line);
	if (end)
		*end = '\0';
	for (char *w = strtok_r(line, " \t", &save); w && n < WORDS_MAX; w = strtok_r(NULL, " \t", &save))
		words[n++] = w;
	return n;
}

/* A rate of io.max that is the largest its kernel type has: shown as "max". Operations have 32 bits, bytes 64. */
static bool is_largest_rate(const char *word, const char *value)
{
	uint64_t v = strtoull(value, NULL, 10);

	return v == UINT64_MAX || (v >= UINT32_MAX && (str_starts(word, "riops=") || str_starts(word, "wiops=")));
}

/* "rbps=600": by its name. Any other word by its place. */
static bool line_has(const struct rule *r, const char *file, const char *want, size_t place, char *const *got, size_t n)
{
	const char *eq = strchr(want, '=');
	size_t len = eq ? (size_t)(eq - want) + 1 : 0;

	for (size_t i = 0; eq && i < n; i++)
		if (strncmp(got[i], want, len) == 0)
			return same_value(r, file, want + len, got[i] + len) || (streq(got[i] + len, "max") && is_largest_rate(want, want + len));
	return !eq && place < n && same_value(r, file, want, got[place]);
}

/* Is it what the kernel has anyway, so that it shows no line for the device? */
static bool means_nothing(const char *word)
{
	static const char *const words[] = { "0", "max", "default", "4294967295", "18446744073709551615" };
	const char *eq = strchr(word, '=');

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (streq(eq ? eq + 1 : word, words[i]))
			return true;
	return false;
}

/* "8:0 600", "mlx5_0 hca_handle=3": the line that begins with the same word. */
static bool same_line(const struct rule *r, const char *file, char *const *want, size_t n_want, char *text)
{
	char *got[WORDS_MAX];
	bool nothing = true;

	while (*text) {
		size_t n = split_line(&text, got);
		if (n == 0 || !streq(want[0], got[0]))
			continue;
		for (size_t i = 1; i < n_want; i++)
			if (!line_has(r, file, want[i], i, got, n))
				return false;
		return true;
	}
	for (size_t i = 1; i < n_want; i++)
		nothing &= means_nothing(want[i]);
	return nothing;
}

/* One value: the file's only word, or what stands behind a key. */
static bool same_word(const struct rule *r, const char *file, const char *want, char *text)
{
	char *got[WORDS_MAX];

	while (*text) {
		size_t n = split_line(&text, got), at = 0;
		if (n > 1 && streq(got[0], r->key ? r->key : "default"))
			at = 1;
		else if (n == 0 || r->key)
			continue;
		return (n == at + 1 || r->more) && same_value(r, file, want, got[at]);
	}
	return false;
}

bool cg_readback_agrees(const char *file, const char *value, char *text)
{
	const struct rule *r = find_rule(file);
	char copy[CG_VALUE_MAX], *line = copy, *want[WORDS_MAX];

	if (strlen(value) >= sizeof(copy))
		return false;
	if (r->unit == UNIT_LIST)
		return same_set(value, text);
	memcpy(copy, value, strlen(value) + 1);
	size_t n = split_line(&line, want);
	if (n == 0)
		return text[strspn(text, " \n")] == '\0';
	return n == 1 ? same_word(r, file, want[0], text) : same_line(r, file, want, n, text);
}
