/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/out.h"

#include <errno.h>
#include <unistd.h>

#include "base/io.h"

#define CELL_MIN 12
#define CELL_GAP 3
#define CELL_MAX_BYTES 4200

int out_text(const char *text, struct err *e)
{
	if (!text)
		return err_sys(e, -ENOMEM, "print the result");
	int r = io_write_all(STDOUT_FILENO, text, strlen(text));
	return r < 0 ? err_sys(e, r, "write to standard output") : 0;
}

/* Characters, not bytes: err_escape has let only whole UTF-8 through. */
static size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static const char *escaped(const char *s, struct oci_arena *a)
{
	char buf[CELL_MAX_BYTES];

	return oci_arena_strdup(a, err_escape(s, buf, sizeof(buf)));
}

static size_t column_width(const char *const *cells, size_t n_rows, size_t n_cols, size_t col)
{
	size_t width = CELL_MIN;

	for (size_t row = 0; row < n_rows; row++) {
		size_t n = text_width(cells[row * n_cols + col]) + CELL_GAP;
		if (n > width)
			width = n;
	}
	return width;
}

const char *out_table(const char *const *cells, size_t n_rows, size_t n_cols, struct oci_arena *a)
{
	const char **clean = oci_arena_alloc(a, n_rows * n_cols * sizeof(*clean));
	size_t *width = oci_arena_alloc(a, n_cols * sizeof(*width));
	size_t size = 1;

	if (!clean || !width)
		return NULL;
	for (size_t i = 0; i < n_rows * n_cols; i++) {
		clean[i] = escaped(cells[i], a);
		if (!clean[i])
			return NULL;
	}
	/* Room for the text and as much padding as the column is wide. */
	for (size_t col = 0; col < n_cols; col++) {
		width[col] = column_width(clean, n_rows, n_cols, col);
		for (size_t row = 0; row < n_rows; row++)
			size += strlen(clean[row * n_cols + col]) + width[col] + 1;
	}
	char *text = oci_arena_alloc(a, size), *p = text;
	if (!text)
		return NULL;
	for (size_t i = 0; i < n_rows * n_cols; i++) {
		size_t col = i % n_cols;
		p = stpcpy(p, clean[i]);
		if (col + 1 == n_cols) {
			*p++ = '\n';
			continue;
		}
		size_t pad = width[col] - text_width(clean[i]);
		memset(p, ' ', pad);
		p += pad;
	}
	*p = '\0';
	return text;
}

int out_format(const char *word, bool *ret_json, struct err *e)
{
	*ret_json = word && streq(word, "json");
	if (!word || *ret_json || streq(word, "table"))
		return 0;
	return err_set(e, ERR_USAGE, 0, "--format: \"%s\" is not one of table, json", word);
}
