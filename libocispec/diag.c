/* SPDX-License-Identifier: Apache-2.0 */
/* Where errors are made: JSON path, line and column, quoted value, "did you mean". */
#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ELLIPSIS "…"
#define QUOTED_MAX 80   /* bytes of a value that a message shows */
#define KEY_MAX 60      /* bytes of a key that a path shows */
#define NEAR_MAX 48     /* longer words are not compared by edit distance */

void oci_buf_add(struct oci_text_buf *b, const char *s, size_t len)
{
	size_t room = b->size - 1 - b->n;

	if (len > room) {
		len = room;
		while (len && ((unsigned char)s[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(b->s + b->n, s, len);
	b->n += len;
	b->s[b->n] = '\0';
}

static void buf_add_str(struct oci_text_buf *b, const char *s)
{
	oci_buf_add(b, s, strlen(s));
}

static void buf_vprintf(struct oci_text_buf *b, const char *fmt, va_list ap)
{
	char s[768];
	int n = vsnprintf(s, sizeof(s), fmt, ap);

	if (n > 0)
		oci_buf_add(b, s, (size_t)n < sizeof(s) ? (size_t)n : sizeof(s) - 1);
}

void oci_buf_printf(struct oci_text_buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

/* A character that may be shown as it is: no control character, C1 (U+0080 to U+009F) included. */
static bool is_shown(const char *s, size_t n)
{
	unsigned char c = (unsigned char)s[0];

	if (n == 1)
		return c >= 0x20 && c != 0x7f;
	return n > 2 || (n == 2 && !(c == 0xc2 && (unsigned char)s[1] < 0xa0));
}

static void add_foreign(struct oci_text_buf *b, const char *s, size_t len, size_t max, const char *escaped)
{
	size_t i = 0;

	while (i < len && i < max) {
		size_t n = oci_utf8_sequence(s + i, len - i);

		if (n == 1 && s[i] && strchr(escaped, s[i])) {
			oci_buf_printf(b, "\\%c", s[i]);
		} else if (is_shown(s + i, n)) {
			oci_buf_add(b, s + i, n);
		} else {
			oci_buf_printf(b, "\\x%02x", (unsigned char)s[i]);
			n = 1;
		}
		i += n;
	}
	if (i < len)
		buf_add_str(b, ELLIPSIS);
}

void oci_buf_add_foreign(struct oci_text_buf *b, const char *s, size_t len, size_t max)
{
	add_foreign(b, s, len, max, "");
}

void oci_buf_add_quoted(struct oci_text_buf *b, const char *s, size_t len)
{
	buf_add_str(b, "\"");
	add_foreign(b, s, len, QUOTED_MAX, "\"\\");
	buf_add_str(b, "\"");
}

static bool is_plain_key(const char *s, size_t len)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	for (size_t i = 0; i < len; i++)
		if (!s[i] || !strchr(set, s[i]))
			return false;
	return len > 0 && len <= KEY_MAX;
}

static void path_add_key(struct oci_text_buf *b, const char *key, size_t len)
{
	if (is_plain_key(key, len)) {
		if (b->n)
			buf_add_str(b, ".");
		oci_buf_add(b, key, len);
		return;
	}
	buf_add_str(b, "[\"");
	add_foreign(b, key, len, KEY_MAX, "\"\\");
	buf_add_str(b, "\"]");
}

static void path_add_frames(struct oci_text_buf *b, const struct oci_parser *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct oci_frame *f = &p->frames[i];

		if (f->is_array)
			oci_buf_printf(b, "[%zu]", f->index);
		else if (f->key)
			path_add_key(b, f->key, f->key_len);
	}
}

void oci_path_write(const struct oci_parser *p, char *buf, size_t size)
{
	struct oci_text_buf b = { .s = buf, .size = size };

	buf[0] = '\0';
	path_add_frames(&b, p, p->depth);
}

/* The path of a member of the object that is being closed. */
static void path_write_rel(const struct oci_parser *p, const char *rel, char *buf, size_t size)
{
	struct oci_text_buf b = { .s = buf, .size = size };

	buf[0] = '\0';
	path_add_frames(&b, p, p->depth - 1);
	if (b.n && rel[0] && rel[0] != '[')
		buf_add_str(&b, ".");
	buf_add_str(&b, rel);
}

void oci_diag_position(struct oci_diag *d, const char *text, size_t len, size_t at)
{
	const char *line = text, *end = text + (at < len ? at : len), *nl;

	d->line = 1;
	while ((nl = memchr(line, '\n', (size_t)(end - line)))) {
		d->line++;
		line = nl + 1;
	}
	d->column = 1;
	for (; line < end; line++)
		if (((unsigned char)*line & 0xc0) != 0x80)
			d->column++;
}

static void fail_message(struct oci_parser *p, const char *fmt, va_list ap)
{
	struct oci_text_buf b = { .s = p->d->msg, .size = sizeof(p->d->msg) };

	p->failed = true;
	p->d->msg[0] = '\0';
	buf_vprintf(&b, fmt, ap);
}

bool oci_fail(struct oci_parser *p, size_t at, const char *fmt, ...)
{
	va_list ap;

	if (p->failed)
		return false;
	va_start(ap, fmt);
	fail_message(p, fmt, ap);
	va_end(ap);
	oci_path_write(p, p->d->path, sizeof(p->d->path));
	oci_diag_position(p->d, p->text, p->len, at);
	return false;
}

bool oci_recover(struct oci_parser *p)
{
	if (p->locating)
		return !p->fatal;
	if (!p->notes || !p->notes->fail || p->fatal || p->n_told == OCI_DIAGS_MAX)
		return false;
	oci_tell(p);
	if (p->depth)
		p->frames[p->depth - 1].partial = true;
	p->failed = p->by_rule = false;
	return true;
}

bool oci_rule_fail(struct oci_parser *p, const char *rel, const char *fmt, ...)
{
	va_list ap;

	if (p->failed)
		return false;
	va_start(ap, fmt);
	fail_message(p, fmt, ap);
	va_end(ap);
	path_write_rel(p, rel, p->d->path, sizeof(p->d->path));
	p->by_rule = true;
	p->fail_at = p->frames[p->depth - 1].at;
	return false;
}

static void say(struct oci_parser *p, enum oci_note level, const char *path, const char *fmt, va_list ap)
{
	char msg[768];
	struct oci_text_buf b = { .s = msg, .size = sizeof(msg) };

	msg[0] = '\0';
	buf_vprintf(&b, fmt, ap);
	p->notes->say(p->notes->arg, level, path, msg);
}

static bool is_listening(const struct oci_parser *p)
{
	return p->notes && p->notes->say && !p->locating;
}

void oci_note(struct oci_parser *p, enum oci_note level, const char *fmt, ...)
{
	char path[sizeof(p->d->path)];
	va_list ap;

	if (!is_listening(p))
		return;
	oci_path_write(p, path, sizeof(path));
	va_start(ap, fmt);
	say(p, level, path, fmt, ap);
	va_end(ap);
}

void oci_rule_warn(struct oci_parser *p, const char *rel, const char *fmt, ...)
{
	char path[sizeof(p->d->path)];
	va_list ap;

	if (!is_listening(p))
		return;
	path_write_rel(p, rel, path, sizeof(path));
	va_start(ap, fmt);
	say(p, OCI_NOTE_WARNING, path, fmt, ap);
	va_end(ap);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance without regard to case; both at most NEAR_MAX long. */
static unsigned distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	unsigned row[NEAR_MAX + 1];

	for (unsigned j = 0; j <= n_b; j++)
		row[j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n_b; j++) {
			unsigned above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (lower(a[i - 1]) != lower(b[j - 1])));
			diagonal = above;
		}
	}
	return row[n_b];
}

/* The part of a constant after its prefix: "ALLOW" of "SCMP_ACT_ALLOW" is what people write by mistake. */
static bool is_tail(const char *word, const char *s, size_t len)
{
	size_t n = strlen(word);

	return len >= 2 && n > len && word[n - len - 1] == '_' && strncasecmp(word + n - len, s, len) == 0;
}

/* What two words have in common up to an underscore: SCMP_ACT_ says nothing about how near they are. */
static size_t common_prefix(const char *a, const char *b, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && b[i] && lower(a[i]) == lower(b[i]); i++)
		if (a[i] == '_')
			n = i + 1;
	return n;
}

/* Keep the candidate that `s` is nearest to, when it is near enough to be a slip of the pen. */
static void consider(const char *candidate, const char *s, size_t len, const char **best, unsigned *best_d)
{
	size_t skip = common_prefix(s, candidate, len), n = strlen(candidate);
	unsigned d, most;

	if (len < 2 || len > NEAR_MAX || n > NEAR_MAX)
		return;
	d = is_tail(candidate, s, len) ? 1 : distance(s + skip, len - skip, candidate + skip, n - skip);
	len -= skip;
	most = len < 4 ? 1 : len < 6 ? 2 : (unsigned)len / 3;
	if (d <= most && d < *best_d) {
		*best = candidate;
		*best_d = d;
	}
}

const char *oci_nearest_word(const struct oci_words *w, const char *s, size_t len)
{
	const char *best = NULL;
	unsigned d = NEAR_MAX;

	for (unsigned i = 1; i < w->n; i++)
		if (w->word[i])
			consider(w->word[i], s, len, &best, &d);
	return best;
}

const char *oci_nearest_row(const struct oci_desc *desc, const char *s, size_t len)
{
	const char *best = NULL;
	unsigned d = NEAR_MAX;

	for (unsigned i = 0; i < desc->n; i++)
		consider(desc->fields[i].name, s, len, &best, &d);
	return best;
}
