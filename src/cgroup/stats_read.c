/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of the kernel's cgroup files (admin-guide/cgroup-v2.rst, Interface Files). Files are read whole at any size: io.stat has a line
 * for each of what may be hundreds of devices. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"
#include "cgroup/internal.h"
#include "cgroup/stats_internal.h"

#define READ_FIRST 4096
#define READ_MAX (16 << 20)

static bool fail(struct cg_reader *rd, int r, const char *what)
{
	if (rd->r == 0)
		rd->r = err_sys(rd->e, r, "read %s", what);
	return false;
}

static void *alloc(struct cg_reader *rd, size_t size)
{
	void *p = oci_arena_alloc(rd->a, size ? size : 1);

	if (!p)
		fail(rd, -ENOMEM, "the figures of a cgroup");
	return p;
}

bool cg_bad_file(struct cg_reader *rd, const char *file, const char *text)
{
	if (rd->r == 0)
		rd->r = err_set(rd->e, ERR_SYS, 0, "%s of the cgroup says \"%.80s\", which this hull can't read", file, text);
	return false;
}

const char *cg_reader_printf(struct cg_reader *rd, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	char *s = oci_arena_strdup(rd->a, text);
	if (!s)
		fail(rd, -ENOMEM, "the figures of a cgroup");
	return s;
}

/* Not offered: no such file, a removed cgroup, pressure that is switched off. */
static bool is_absent(ssize_t r)
{
	return r == -ENOENT || r == -ENODEV || r == -EOPNOTSUPP;
}

bool cg_read_text(struct cg_reader *rd, const char *file, char **ret)
{
	for (size_t size = READ_FIRST; rd->r == 0 && size <= READ_MAX; size *= 2) {
		char *text = alloc(rd, size);
		ssize_t n = text ? io_read_at(rd->dfd, file, text, size) : -ENOMEM;

		if (n == -EFBIG)
			continue;
		*ret = text;
		return n >= 0 ? true : is_absent(n) ? false : fail(rd, (int)n, file);
	}
	return fail(rd, -EFBIG, file);
}

static bool parse_number(const char *s, uint64_t *ret)
{
	if (streq(s, "max")) {
		*ret = CG_UNLIMITED;
		return true;
	}
	return num_parse_u64(s, UINT64_MAX, ret) == 0;
}

static bool read_word(struct cg_reader *rd, const char *file, char **ret)
{
	if (!cg_read_text(rd, file, ret))
		return false;
	(*ret)[strcspn(*ret, "\n")] = '\0';
	return true;
}

bool cg_read_u64(struct cg_reader *rd, const char *file, uint64_t *ret)
{
	char *text;

	if (!read_word(rd, file, &text))
		return false;
	return parse_number(text, ret) ? true : cg_bad_file(rd, file, text);
}

bool cg_read_i64(struct cg_reader *rd, const char *file, int64_t *ret)
{
	char *text;

	if (!read_word(rd, file, &text))
		return false;
	return num_parse_i64(text, INT64_MIN, INT64_MAX, ret) == 0 ? true : cg_bad_file(rd, file, text);
}

/* How often `c` is in `text`: an upper bound for what is cut at it. */
static size_t count_of(const char *text, char c)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == c;
	return n;
}

/* Cut the next piece off *s at one of `stops`; NULL at the end. Empty ones are passed over. */
static char *next_piece(char **s, const char *stops)
{
	char *piece = *s ? *s + strspn(*s, stops) : NULL;

	if (!piece || !*piece)
		return NULL;
	char *end = piece + strcspn(piece, stops);
	*s = *end ? end + 1 : end;
	*end = '\0';
	return piece;
}

bool cg_read_counts(struct cg_reader *rd, const char *file, struct cg_counts *ret)
{
	char *text, *line;

	if (!cg_read_text(rd, file, &text))
		return false;
	struct cg_count *v = alloc(rd, count_of(text, '\n') * sizeof(*v));
	size_t n = 0;
	while (v && (line = next_piece(&text, "\n"))) {
		char *value = strchr(line, ' ');
		if (!value)
			return cg_bad_file(rd, file, line);
		*value++ = '\0';
		v[n].key = line;
		if (!parse_number(value, &v[n++].v))
			return cg_bad_file(rd, file, value);
	}
	*ret = (struct cg_counts){ .has = v != NULL, .v = v, .n = n };
	return ret->has;
}

/* "rbytes=1 wbytes=2" */
static void parse_pairs(struct cg_reader *rd, char *pairs, struct cg_counts *ret)
{
	struct cg_count *v = alloc(rd, count_of(pairs, ' ') * sizeof(*v));
	char *pair;

	*ret = (struct cg_counts){ .has = v != NULL, .v = v };
	while (v && (pair = next_piece(&pairs, " "))) {
		char *value = strchr(pair, '=');
		if (!value)
			continue;
		*value++ = '\0';
		v[ret->n].key = pair;
		/* io.cost and io.latency add words and fractions for people who debug them. */
		ret->n += parse_number(value, &v[ret->n].v);
	}
}

bool cg_read_named(struct cg_reader *rd, const char *file, struct cg_named_list *ret)
{
	char *text, *line;

	if (!cg_read_text(rd, file, &text))
		return false;
	struct cg_named_counts *v = alloc(rd, count_of(text, '\n') * sizeof(*v));
	size_t n = 0;
	while (v && (line = next_piece(&text, "\n"))) {
		char *pairs = line + strcspn(line, " ");
		if (*pairs)
			*pairs++ = '\0';
		v[n].name = line;
		parse_pairs(rd, pairs, &v[n++].counts);
	}
	*ret = (struct cg_named_list){ .has = v != NULL && rd->r == 0, .v = v, .n = n };
	return ret->has;
}

bool cg_parse_numbers(struct cg_reader *rd, const char *file, char *text, struct cg_u64s *ret)
{
	uint64_t *v = alloc(rd, (count_of(text, ' ') + count_of(text, '\n')) * sizeof(*v));
	char *word;

	*ret = (struct cg_u64s){ .v = v };
	while (v && (word = next_piece(&text, " \n")))
		if (!parse_number(word, &v[ret->n++]))
			return cg_bad_file(rd, file, word);
	return v != NULL;
}

bool cg_read_numbers(struct cg_reader *rd, const char *file, struct cg_u64s *ret)
{
	char *text;

	return cg_read_text(rd, file, &text) && cg_parse_numbers(rd, file, text, ret);
}

bool cg_read_list(struct cg_reader *rd, const char *file, struct cg_u64s *ret)
{
	char *text, *range;
	uint64_t from, to;

	if (!cg_read_text(rd, file, &text))
		return false;
	*ret = (struct cg_u64s){ .v = alloc(rd, (UINT16_MAX + 1) * sizeof(uint64_t)) };
	while (ret->v && (range = next_piece(&text, ",\n"))) {
		const char *s = range;
		if (num_take_range(&s, &from, &to) < 0 || *s || from > to || to > UINT16_MAX || ret->n + to - from > UINT16_MAX)
			return cg_bad_file(rd, file, range);
		for (; from <= to; from++)
			ret->v[ret->n++] = from;
	}
	return ret->v != NULL;
}

/* "8:0 Read 4096"; "8:0 4096". */
static bool parse_blkio_line(char *line, struct cg_io_entry *ret)
{
	const char *major = next_piece(&line, ":"), *minor = next_piece(&line, " "), *op = next_piece(&line, " ");
	const char *value = next_piece(&line, " ");

	if (!value) {
		value = op;
		op = "";
	}
	ret->op = op;
	return minor && value && num_parse_u64(major, UINT32_MAX, &ret->major) == 0 && num_parse_u64(minor, UINT32_MAX, &ret->minor) == 0 &&
	       num_parse_u64(value, UINT64_MAX, &ret->v) == 0;
}

bool cg_read_blkio(struct cg_reader *rd, const char *file, struct cg_io_list *ret)
{
	char *text, *line;

	if (!cg_read_text(rd, file, &text))
		return false;
	*ret = (struct cg_io_list){ .v = alloc(rd, count_of(text, '\n') * sizeof(*ret->v)) };
	while (ret->v && (line = next_piece(&text, "\n"))) {
		if (str_starts(line, "Total "))
			continue;
		if (!parse_blkio_line(line, &ret->v[ret->n++]))
			return cg_bad_file(rd, file, line);
	}
	return ret->v != NULL;
}

/* A percentage with digits behind the point, as the kernel prints it: what JSON takes for a number. */
static bool is_decimal(const char *s)
{
	size_t whole = strspn(s, "0123456789"), part = s[whole] == '.' ? strspn(s + whole + 1, "0123456789") : 0;

	return whole && part && s[whole + 1 + part] == '\0' && (s[0] != '0' || whole == 1);
}

/* "avg10=0.00 avg60=0.00 avg300=0.00 total=0" */
static bool parse_psi_line(char *pairs, struct cg_psi_line *ret)
{
	static const char *const keys[] = { "avg10=", "avg60=", "avg300=" };
	const char **const values[] = { &ret->avg10, &ret->avg60, &ret->avg300 };
	const char *pair;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		pair = next_piece(&pairs, " ");
		if (!pair || !str_starts(pair, keys[i]) || !is_decimal(pair + strlen(keys[i])))
			return false;
		*values[i] = pair + strlen(keys[i]);
	}
	pair = next_piece(&pairs, " ");
	ret->has = pair && str_starts(pair, "total=") && num_parse_u64(pair + strlen("total="), UINT64_MAX, &ret->total) == 0;
	return ret->has;
}

void cg_read_psi(struct cg_reader *rd, const char *file, struct cg_psi *ret)
{
	char *text, *line;

	if (!cg_read_text(rd, file, &text))
		return;
	while ((line = next_piece(&text, "\n"))) {
		const char *word = next_piece(&line, " ");
		struct cg_psi_line *into = streq(word, "some") ? &ret->some : streq(word, "full") ? &ret->full : NULL;
		/* Before Linux 5.13 there was no "full" of the CPU; what else may come is not ours. */
		if (into && !parse_psi_line(line, into)) {
			into->has = false;
			cg_bad_file(rd, file, word);
		}
	}
}

bool cg_counts_get(const struct cg_counts *c, const char *key, uint64_t *ret)
{
	for (size_t i = 0; i < c->n; i++) {
		if (streq(c->v[i].key, key)) {
			*ret = c->v[i].v;
			return true;
		}
	}
	return false;
}

static int compare_sizes(const void *x, const void *y)
{
	const struct cg_hugetlb_stats *a = x, *b = y;

	return strcmp(a->size, b->size);
}

/* "2MB" out of "hugetlb.2MB.current" when the suffix is ".current"; NULL for other names. */
static const char *hugetlb_size(struct cg_reader *rd, const char *name, const char *suffix)
{
	static const char prefix[] = "hugetlb.";
	const char *size = str_starts(name, prefix) ? name + strlen(prefix) : NULL;
	const char *dot = size ? strchr(size, '.') : NULL;

	return dot && streq(dot, suffix) ? oci_arena_strndup(rd->a, size, (size_t)(dot - size)) : NULL;
}

bool cg_read_hugetlb_sizes(struct cg_reader *rd, const char *suffix, struct cg_hugetlb_stats **ret, size_t *ret_n)
{
	/* One for each size of huge page that a processor has: x86 2, arm64 up to 4, powerpc and riscv a few more. */
	static const size_t max = 32;
	int fd = rd->r == 0 ? openat(rd->dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	*ret_n = 0;
	if (!d) {
		fd_close_scoped(&fd);
		return false;
	}
	*ret = alloc(rd, max * sizeof(**ret));
	for (struct dirent *de = readdir(d); *ret && de && *ret_n < max; de = readdir(d)) {
		const char *size = hugetlb_size(rd, de->d_name, suffix);
		if (size)
			(*ret)[(*ret_n)++].size = size;
	}
	closedir(d);
	if (*ret_n)
		qsort(*ret, *ret_n, sizeof(**ret), compare_sizes);
	return *ret_n > 0;
}
