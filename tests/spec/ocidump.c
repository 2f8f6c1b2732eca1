/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a document by libocispec and prints it in canonical form, or its one error line:
 *
 *   ocidump KIND FILE      KIND: config process resources state features container-process-state
 *   ocidump --all KIND FILE     prints every error line
 *   ocidump --notes KIND FILE   also prints notes ("debug PATH: …", "warning PATH: …") to stderr
 *   ocidump --repeat N KIND FILE   parses N times and prints the CPU microseconds of one pass
 *   ocidump --batch        for each "KIND LENGTH\n" + LENGTH bytes on stdin one line: "ok", or the error line
 *   ocidump --table        every row of every table as JSON
 *
 * Exit status: 0, 1 for a document that is refused, 2 for wrong usage. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine.h"

static const struct {
	const char *name;
	const struct oci_desc *desc;
} kinds[] = {
	{ "config", &oci_config_desc },
	{ "process", &oci_process_desc },
	{ "resources", &oci_resources_desc },
	{ "state", &oci_state_desc },
	{ "features", &oci_features_desc },
	{ "container-process-state", &oci_container_process_state_desc },
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *const kind_names[OCI_K_N] = {
	[OCI_K_SKIP] = "skip", [OCI_K_BOOL] = "bool", [OCI_K_I64] = "i64", [OCI_K_U64] = "u64",
	[OCI_K_I32] = "i32", [OCI_K_U32] = "u32", [OCI_K_STR] = "string", [OCI_K_WORD] = "word",
	[OCI_K_STRV] = "strings", [OCI_K_U32V] = "u32s", [OCI_K_WORDV] = "words", [OCI_K_MAP] = "map",
	[OCI_K_OBJ] = "object", [OCI_K_OBJV] = "objects", [OCI_K_OBJMAP] = "object-map",
};

static void print_words(const struct oci_words *w)
{
	printf(", \"words\": [");
	for (unsigned i = 1; i < w->n; i++)
		printf("%s\"%s\"", i > 1 ? ", " : "", w->word[i]);
	printf("]");
}

static bool is_number(const struct oci_field *f)
{
	return (f->kind >= OCI_K_I64 && f->kind <= OCI_K_U32) || f->kind == OCI_K_U32V;
}

static void print_row(const char *doc, const char *path, const struct oci_field *f)
{
	static bool comma;
	int64_t lo;
	uint64_t hi;

	printf("%s\n{\"doc\": \"%s\", \"path\": \"%s\", \"kind\": \"%s\", \"required\": %s", comma ? "," : "", doc,
	       path, kind_names[f->kind], f->required ? "true" : "false");
	comma = true;
	if (is_number(f)) {
		oci_field_range(f, &lo, &hi);
		printf(", \"min\": %lld, \"max\": %llu", (long long)lo, (unsigned long long)hi);
	}
	if (f->has_unset)
		printf(", \"unset\": %llu", (unsigned long long)f->unset);
	if (f->words)
		print_words(f->words);
	if (f->min_items)
		printf(", \"min_items\": %u", f->min_items);
	printf(", \"text\": \"%s\", \"key_text\": \"%s\"}", oci_text_name(f->text), oci_text_name(f->key_text));
}

static void print_table(const char *doc, const char *prefix, const struct oci_desc *desc)
{
	for (unsigned i = 0; i < desc->n; i++) {
		const struct oci_field *f = &desc->fields[i];
		char path[256];
		const char *suffix = f->kind == OCI_K_OBJV ? "[]" : f->kind == OCI_K_OBJMAP ? "{}" : "";

		snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", f->name);
		print_row(doc, path, f);
		if (!f->desc)
			continue;
		strncat(path, suffix, sizeof(path) - strlen(path) - 1);
		print_table(doc, path, f->desc);
	}
}

static int print_tables(void)
{
	printf("[");
	for (size_t i = 0; i < N_KINDS; i++)
		print_table(kinds[i].name, "", kinds[i].desc);
	printf("\n]\n");
	return 0;
}

/* The whole file, or NULL. */
static char *read_file(const char *name, size_t *ret_len)
{
	FILE *f = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
	size_t len = 0, cap = 1 << 16, n;
	char *text = malloc(cap);

	if (!f || !text) {
		free(text);
		return NULL;
	}
	while ((n = fread(text + len, 1, cap - len, f)) > 0) {
		len += n;
		if (len == cap) {
			char *grown = realloc(text, cap *= 2);

			if (!grown)
				abort();
			text = grown;
		}
	}
	if (f != stdin)
		fclose(f);
	*ret_len = len;
	return text;
}

static void print_note(void *arg, enum oci_note level, const char *path, const char *msg)
{
	(void)arg;
	fprintf(stderr, "%s %s: %s\n", level == OCI_NOTE_WARNING ? "warning" : "debug", path, msg);
}

static void print_diag(FILE *to, const struct oci_diag *d)
{
	fprintf(to, "%u:%u: %s%s%s\n", d->line, d->column, d->path, d->path[0] ? ": " : "", d->msg);
}

static int dump(const struct oci_desc *desc, const char *text, size_t len, const struct oci_notes *notes)
{
	struct oci_arena a = { 0 };
	struct oci_diag d;
	void *obj = oci_parse(desc, &a, text, len, notes, &d);
	int status = 1;

	if (obj) {
		const char *out = oci_write(desc, obj, 2, &a, NULL);

		status = out && puts(out) >= 0 ? 0 : 1;
	} else {
		print_diag(stderr, &d);
	}
	oci_arena_release(&a);
	return status;
}

static void print_each(void *arg, const struct oci_diag *d)
{
	(void)arg;
	print_diag(stdout, d);
}

/* Every error; the first must be the one that is returned, which is the one that a caller without `fail` sees. */
static int dump_all(const struct oci_desc *desc, const char *text, size_t len)
{
	const struct oci_notes notes = { .fail = print_each };
	struct oci_arena a = { 0 };
	struct oci_diag d;
	void *obj = oci_parse(desc, &a, text, len, &notes, &d);

	if (!obj)
		print_diag(stderr, &d);
	oci_arena_release(&a);
	return !obj;
}

static int repeat(const struct oci_desc *desc, const char *text, size_t len, long times)
{
	struct timespec from, to;
	double us;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (long i = 0; i < times; i++) {
		struct oci_arena a = { 0 };
		struct oci_diag d;

		if (!oci_parse(desc, &a, text, len, NULL, &d))
			return 1;
		oci_arena_release(&a);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	us = (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
	printf("%.1f\n", us / (double)times);
	return 0;
}

static const struct oci_desc *find_kind(const char *name)
{
	for (size_t i = 0; i < N_KINDS; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].desc;
	return NULL;
}

/* One process for thousands of documents. Each gets a block of exactly its size, so that a byte read behind it is
 * seen. */
static int batch(void)
{
	char kind[64];
	size_t len;

	while (scanf("%63s %zu", kind, &len) == 2 && getchar() == '\n') {
		const struct oci_desc *desc = find_kind(kind);
		char *text = malloc(len ? len : 1);
		struct oci_arena a = { 0 };
		struct oci_diag d;

		if (!desc || !text || fread(text, 1, len, stdin) != len)
			return 2;
		if (oci_parse(desc, &a, text, len, NULL, &d))
			puts("ok");
		else
			print_diag(stdout, &d);
		oci_arena_release(&a);
		free(text);
	}
	return feof(stdin) ? 0 : 2;
}

int main(int argc, char **argv)
{
	static const struct oci_notes printer = { .say = print_note };
	const struct oci_notes *notes = NULL;
	const struct oci_desc *desc;
	long times = 0;
	size_t len;
	char *text;
	int i = 1, status;
	bool all = false;

	if (argc == 2 && strcmp(argv[1], "--table") == 0)
		return print_tables();
	if (argc == 2 && strcmp(argv[1], "--batch") == 0)
		return batch();
	if (argc > i && strcmp(argv[i], "--notes") == 0) {
		notes = &printer;
		i++;
	}
	if (argc > i && strcmp(argv[i], "--all") == 0) {
		all = true;
		i++;
	}
	if (argc > i + 1 && strcmp(argv[i], "--repeat") == 0) {
		times = atol(argv[i + 1]);
		i += 2;
	}
	desc = argc == i + 2 ? find_kind(argv[i]) : NULL;
	if (!desc) {
		fprintf(stderr, "usage: ocidump [--all] [--notes] [--repeat N] KIND FILE | --batch | --table\n");
		return 2;
	}
	text = read_file(argv[i + 1], &len);
	if (!text) {
		fprintf(stderr, "ocidump: %s: %s\n", argv[i + 1], strerror(errno));
		return 2;
	}
	status = all ? dump_all(desc, text, len) : times > 0 ? repeat(desc, text, len, times) : dump(desc, text, len, notes);
	free(text);
	return status;
}
