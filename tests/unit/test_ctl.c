/* SPDX-License-Identifier: Apache-2.0 */
/* docs/protocol.md says of each message who sends it and what it may follow: the table in base/ctl.c and the page are the same. */
#include <stdio.h>

#include "base/ctl.h"
#include "base/io.h"
#include "unit.h"

#include <fcntl.h>

static char page[16384];

static void read_page(void)
{
	const char *top = getenv("HULL_SOURCE");
	char path[4096];

	snprintf(path, sizeof(path), "%s/docs/protocol.md", top ? top : ".");
	ck_assert_msg(io_read_at(AT_FDCWD, path, page, sizeof(page)) > 0, "read %s", path);
}

/* The third cell of the row of `name`, and its second. */
static const char *row_of(const char *name, char *from, size_t size)
{
	char begin[64];

	snprintf(begin, sizeof(begin), "\n| %s | ", name);
	const char *row = strstr(page, begin);
	ck_assert_msg(row != NULL, "docs/protocol.md has no row for %s", name);
	row += strlen(begin);
	size_t n = strcspn(row, " ");
	ck_assert_uint_lt(n, size);
	memcpy(from, row, n);
	from[n] = '\0';
	row = strstr(row, "| ");
	ck_assert_ptr_nonnull(row);
	return row + 2;
}

/* Is `word` one of the words between here and the end of the cell? */
static bool in_cell(const char *cell, const char *word)
{
	size_t end = strcspn(cell, "|"), n = strlen(word);

	for (size_t i = 0; i + n <= end; i++)
		if (strncmp(cell + i, word, n) == 0 && strchr(", |", cell[i + n]) && (i == 0 || cell[i - 1] == ' '))
			return true;
	return false;
}

START_TEST(the_page_is_the_table)
{
	unsigned moves = 0, rows = 0;

	read_page();
	for (unsigned type = 0; type < CTL_TYPE_MAX; type++) {
		char from[16];
		if (type == CTL_NONE || type == CTL_LOG || type == CTL_ERROR)
			continue;
		const char *cell = row_of(ctl_name(type), from, sizeof(from));
		bool by_host = strcmp(from, "host") == 0;
		rows++;
		for (uint8_t last = 0; last < CTL_TYPE_MAX; last++) {
			bool said = in_cell(cell, ctl_name(last));
			ck_assert_msg(ctl_may(last, by_host ? CTL_HOST : CTL_INIT, type) == said, "%s after %s", ctl_name(type), ctl_name(last));
			ck_assert(!ctl_may(last, by_host ? CTL_INIT : CTL_HOST, type));
			moves += said;
		}
	}
	ck_assert_uint_eq(rows, 12);
	ck_assert_uint_ge(moves, 20);
	ck_assert(!ctl_may(CTL_NONE, CTL_HOST, CTL_TYPE_MAX));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl");
	TCase *c = tcase_create("protocol");

	tcase_add_test(c, the_page_is_the_table);
	suite_add_tcase(s, c);
	return unit_run(s);
}
