/* SPDX-License-Identifier: Apache-2.0 */
/* The constraints of one row: ranges, vocabulary, the form of a string. Pure functions; parse.c says where it
 * happened. */
#include "engine.h"

#include <string.h>

void oci_field_range(const struct oci_field *f, int64_t *ret_lo, uint64_t *ret_hi)
{
	static const struct {
		int64_t lo;
		uint64_t hi;
	} kinds[OCI_K_N] = {
		[OCI_K_I64] = { INT64_MIN, INT64_MAX }, [OCI_K_U64] = { 0, UINT64_MAX },
		[OCI_K_I32] = { INT32_MIN, INT32_MAX }, [OCI_K_U32] = { 0, UINT32_MAX },
		[OCI_K_U32V] = { 0, UINT32_MAX },
	};

	*ret_lo = f->has_min ? f->min : kinds[f->kind].lo;
	*ret_hi = f->has_max ? f->max : kinds[f->kind].hi;
}

unsigned oci_words_find(const struct oci_words *w, const char *s, size_t len)
{
	for (unsigned i = 1; i < w->n; i++) {
		const char *word = w->word[i];

		if (word && strlen(word) == len && memcmp(word, s, len) == 0)
			return i;
	}
	return 0;
}

static bool all_of(const char *s, size_t len, const char *set)
{
	for (size_t i = 0; i < len; i++)
		if (!s[i] || !strchr(set, s[i]))
			return false;
	return true;
}

static bool is_any(const char *s, size_t len)
{
	(void)s;
	(void)len;
	return true;
}

static bool is_nonempty(const char *s, size_t len)
{
	(void)s;
	return len > 0;
}

static bool is_absolute(const char *s, size_t len)
{
	return len > 0 && s[0] == '/';
}

static bool is_access(const char *s, size_t len)
{
	return all_of(s, len, "rwm");
}

static bool is_cpu_list(const char *s, size_t len)
{
	return all_of(s, len, "0123456789,- ");
}

static bool is_env(const char *s, size_t len)
{
	return len > 0 && s[0] != '=' && memchr(s, '=', len);
}

/* The length of a number without leading zeros, 0 when there is none. */
static size_t semver_number(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] >= '0' && s[n] <= '9')
		n++;
	return n > 1 && s[0] == '0' ? 0 : n;
}

/* Dot-separated identifiers, none empty; without `zeros`, numeric ones have no leading zero. */
static bool semver_identifiers(const char *s, size_t len, bool zeros)
{
	static const char set[] = "0123456789-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (size_t i = 0; i <= len;) {
		const char *dot = memchr(s + i, '.', len - i);
		size_t n = dot ? (size_t)(dot - s) - i : len - i;

		if (!n || !all_of(s + i, n, set))
			return false;
		if (!zeros && n > 1 && s[i] == '0' && all_of(s + i, n, "0123456789"))
			return false;
		i += n + 1;
	}
	return true;
}

/* SemVer 2.0.0 with major version 1: 1.MINOR.PATCH[-PRERELEASE][+BUILD] */
static bool is_semver_1(const char *s, size_t len)
{
	const char *plus = memchr(s, '+', len);
	size_t core = plus ? (size_t)(plus - s) : len, i, n;

	if (len < 5 || s[0] != '1' || s[1] != '.')
		return false;
	if (plus && !semver_identifiers(plus + 1, len - core - 1, true))
		return false;
	n = semver_number(s + 2, core - 2);
	i = 2 + n;
	if (!n || i >= core || s[i] != '.')
		return false;
	n = semver_number(s + i + 1, core - i - 1);
	i += 1 + n;
	if (!n || i == core)
		return n != 0;
	return s[i] == '-' && semver_identifiers(s + i + 1, core - i - 1, false);
}

/* ^[1-9][0-9]*[KMG]B$ */
static bool is_page_size(const char *s, size_t len)
{
	return len >= 3 && s[len - 1] == 'B' && strchr("KMG", s[len - 2]) && s[0] != '0' &&
	       all_of(s, len - 2, "0123456789");
}

static bool is_one_line(const char *s, size_t len)
{
	return !memchr(s, '\n', len);
}

static bool is_mem_bw(const char *s, size_t len)
{
	return len >= 3 && memcmp(s, "MB:", 3) == 0 && is_one_line(s, len);
}

/* The name of a file in a directory that is given: nothing that leads elsewhere. */
static bool is_file_name(const char *s, size_t len)
{
	bool dots = (len == 1 || len == 2) && all_of(s, len, ".");

	return len > 0 && !dots && !memchr(s, '/', len);
}

/* "/" is the default class of service; else the name of a directory in resctrl. */
static bool is_clos_id(const char *s, size_t len)
{
	return (len == 1 && s[0] == '/') || (is_file_name(s, len) && is_one_line(s, len));
}

static bool is_cap_name(const char *s, size_t len)
{
	return len > 4 && memcmp(s, "CAP_", 4) == 0 && all_of(s + 4, len - 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
}

static const struct {
	const char *name;
	bool (*is)(const char *s, size_t len);
	const char *rule;
} texts[OCI_TEXT_N] = {
	[OCI_TEXT_ANY] = { "any", is_any, NULL },
	[OCI_TEXT_NONEMPTY] = { "nonempty", is_nonempty, "must not be empty" },
	[OCI_TEXT_ABSOLUTE] = { "absolute", is_absolute, "must be an absolute path" },
	[OCI_TEXT_ACCESS] = { "access", is_access, "only the letters r, w and m are allowed" },
	[OCI_TEXT_CPU_LIST] = { "cpu-list", is_cpu_list, "expected a list of CPUs such as 0-3,7" },
	[OCI_TEXT_ENV] = { "env", is_env, "expected NAME=VALUE" },
	[OCI_TEXT_SEMVER] = { "semver", is_semver_1, "expected a version of the specification such as 1.3.0" },
	[OCI_TEXT_PAGE_SIZE] = { "page-size", is_page_size,
				 "expected a page size such as 2MB: a number, then KB, MB or GB" },
	[OCI_TEXT_MEM_BW] = { "mem-bw", is_mem_bw, "must begin with MB: and be one line" },
	[OCI_TEXT_ONE_LINE] = { "one-line", is_one_line, "must be one line" },
	[OCI_TEXT_CLOS_ID] = { "clos-id", is_clos_id, "expected / or the name of one directory" },
	[OCI_TEXT_FILE_NAME] = { "file-name", is_file_name, "expected the name of one file, without a slash" },
	[OCI_TEXT_CAP_NAME] = { "cap-name", is_cap_name, "expected the name of a capability such as CAP_CHOWN" },
};

const char *oci_text_check(enum oci_text t, const char *s, size_t len)
{
	return texts[t].is(s, len) ? NULL : texts[t].rule;
}

const char *oci_text_name(enum oci_text t)
{
	return texts[t].name;
}
