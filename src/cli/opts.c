/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/opts.h"

#include <errno.h>
#include <strings.h>

#include "base/num.h"

/* Where the parser stands. */
struct scan {
	const struct opts *o;
	char *const *next; /* the next word of argv */
	const char **args;
	size_t n_args;
	struct err *e;
};

/* An option as it was found. */
struct found {
	const struct opt *opt;
	void *into;
	const char *dashes; /* as errors spell it */
	char name[64];
};

static const struct {
	const char *word;
	bool v;
} bool_words[] = {
	{ "true", true },
	{ "1", true },
	{ "yes", true },
	{ "t", true },
	{ "false", false },
	{ "0", false },
	{ "no", false },
	{ "f", false },
};

int opts_parse_bool(const char *s, bool *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(bool_words); i++) {
		if (strcasecmp(s, bool_words[i].word) != 0)
			continue;
		*ret = bool_words[i].v;
		return 0;
	}
	return -EINVAL;
}

static const struct {
	const char *word;
	uint64_t ns;
} time_units[] = {
	{ "ns", UINT64_C(1) },
	{ "us", UINT64_C(1000) },
	{ "\u00b5s", UINT64_C(1000) },
	{ "ms", UINT64_C(1000000) },
	{ "s", UINT64_C(1000000000) },
	{ "m", UINT64_C(60000000000) },
	{ "h", UINT64_C(3600000000000) },
};

#define DURATION_MAX_NS ((uint64_t)INT32_MAX * 1000000)

/* Cut "1.5" off *s: the whole and what stands behind the point, in billionths. */
static bool cut_decimal(const char **s, uint64_t *ret_whole, uint64_t *ret_billionths)
{
	const char *p = *s;
	uint64_t scale = 100000000;
	size_t digits = strspn(p, "0123456789");

	*ret_whole = *ret_billionths = 0;
	if (digits > 12)
		return false;
	for (; digits && *p >= '0' && *p <= '9'; p++)
		*ret_whole = *ret_whole * 10 + (uint64_t)(*p - '0');
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9'; p++, digits++, scale /= 10)
			*ret_billionths += scale * (uint64_t)(*p - '0');
	}
	*s = p;
	return digits > 0;
}

/* Cut the unit off *s; none at the end of the string: seconds. */
static uint64_t cut_unit(const char **s)
{
	const char *word = **s ? *s : "s";
	size_t len = strcspn(word, "0123456789.");

	*s += **s ? len : 0;
	for (size_t i = 0; i < ARRAY_LEN(time_units); i++)
		if (strlen(time_units[i].word) == len && memcmp(time_units[i].word, word, len) == 0)
			return time_units[i].ns;
	return 0;
}

int opts_parse_duration(const char *s, uint32_t *ret_ms)
{
	uint64_t total = 0, whole, billionths;

	do {
		if (!cut_decimal(&s, &whole, &billionths))
			return -EINVAL;
		uint64_t unit = cut_unit(&s);
		if (!unit || whole > DURATION_MAX_NS / unit)
			return -EINVAL;
		/* Units up to a second first divide nothing away, longer ones are whole seconds: neither product overflows. */
		total += whole * unit + (unit >= 1000000000 ? billionths * (unit / 1000000000) : billionths * unit / 1000000000);
		if (total > DURATION_MAX_NS)
			return -EINVAL;
	} while (*s);
	*ret_ms = (uint32_t)((total + 999999) / 1000000);
	return 0;
}

static int no_memory(struct err *e)
{
	return err_sys(e, -ENOMEM, "read the command line");
}

static int list_add(struct opt_list *l, const char *s, struct oci_arena *a, struct err *e)
{
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 8;
		const char **v = oci_arena_alloc(a, room * sizeof(*v));
		if (!v)
			return no_memory(e);
		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->room = room;
	}
	l->v[l->n++] = s;
	return 0;
}

static int store_csv(struct opt_list *l, const char *s, struct oci_arena *a, struct err *e)
{
	while (*s) {
		size_t n = strcspn(s, ",");
		const char *piece = oci_arena_strndup(a, s, n);
		if (!piece)
			return no_memory(e);
		int r = n ? list_add(l, piece, a, e) : 0;
		if (r < 0)
			return r;
		s += n + (s[n] == ',');
	}
	return 0;
}

static int store_uint(const struct found *f, unsigned *into, const char *s, struct err *e)
{
	uint64_t v;

	if (num_parse_u64(s, OPT_UINT_MAX, &v) < 0)
		return err_set(e, ERR_USAGE, 0, "%s%s: \"%s\" is not a number from 0 to %d", f->dashes, f->name, s,
			       OPT_UINT_MAX);
	*into = (unsigned)v;
	return 0;
}

static int store_duration(const struct found *f, struct opt_u32 *into, const char *s, struct err *e)
{
	if (opts_parse_duration(s, &into->v) < 0)
		return err_set(e, ERR_USAGE, 0, "%s%s: \"%s\" is not a time like 5s, 1m30s or 250ms", f->dashes, f->name, s);
	into->set = true;
	return 0;
}

static int store_flag(const struct found *f, bool *into, const char *s, struct err *e)
{
	if (!s) {
		*into = true;
		return 0;
	}
	if (opts_parse_bool(s, into) < 0)
		return err_set(e, ERR_USAGE, 0, "%s%s: \"%s\" is neither true nor false", f->dashes, f->name, s);
	return 0;
}

/* `=false` on a refused flag asks for what is done anyway. */
static int store_refused(const struct found *f, const char *s, struct err *e)
{
	bool on = true;

	if (!f->opt->arg && s) {
		int r = store_flag(f, &on, s, e);
		if (r < 0 || !on)
			return r;
	}
	return err_set(e, ERR_UNSUPPORTED, 0, "%s%s: %s", f->dashes, f->name, f->opt->help);
}

/* `s` is the value, NULL only for a flag. */
static int store(const struct scan *sc, const struct found *f, const char *s)
{
	char *into = (char *)f->into + f->opt->offset;

	switch ((enum opt_kind)f->opt->kind) {
	case OPT_FLAG:
		return store_flag(f, (bool *)into, s, sc->e);
	case OPT_STR:
		*(const char **)(void *)into = *s ? s : NULL;
		return 0;
	case OPT_UINT:
		return store_uint(f, (unsigned *)(void *)into, s, sc->e);
	case OPT_DURATION:
		return store_duration(f, (struct opt_u32 *)(void *)into, s, sc->e);
	case OPT_LIST:
		return list_add((struct opt_list *)(void *)into, s, sc->o->arena, sc->e);
	case OPT_CSV:
		return store_csv((struct opt_list *)(void *)into, s, sc->o->arena, sc->e);
	case OPT_REFUSE:
		return store_refused(f, s, sc->e);
	case OPT_KIND_MAX:
		break;
	}
	return err_set(sc->e, ERR_BUG, 0, "option --%s has no kind", f->opt->name);
}

static bool takes_value(const struct opt *opt)
{
	return opt->arg != NULL;
}

/* The row whose long name is the `len` bytes at `s`, or whose letter is `letter`. */
static bool find(const struct opts *o, const char *s, size_t len, char letter, struct found *ret)
{
	for (size_t i = 0; i < o->n_sets; i++) {
		const struct opt_set *set = &o->sets[i];
		for (size_t k = 0; k < set->n; k++) {
			const struct opt *opt = &set->v[k];
			bool hit = s ? strlen(opt->name) == len && memcmp(opt->name, s, len) == 0
				     : letter && opt->letter == letter && !set->long_only;
			if (!hit)
				continue;
			ret->opt = opt;
			ret->into = set->into;
			return true;
		}
	}
	return false;
}

static int unknown(const struct scan *sc, const char *dashes, const char *name, size_t len)
{
	return err_set(sc->e, ERR_USAGE, 0, "flag provided but not defined: %s%.*s", dashes, (int)(len < 64 ? len : 64), name);
}

/* Store a value that is there, or take the next word. */
static int store_or_next(struct scan *sc, const struct found *f, const char *value)
{
	if (!value && takes_value(f->opt)) {
		if (!*sc->next)
			return err_set(sc->e, ERR_USAGE, 0, "flag needs an argument: %s%s", f->dashes, f->name);
		value = *sc->next++;
	}
	return store(sc, f, value);
}

/* -dt, -b PATH, -bPATH, -b=PATH. `s` is behind the dash. */
static int parse_letters(struct scan *sc, const char *s)
{
	for (; *s; s++) {
		struct found f = { .dashes = "-", .name = { *s, '\0' } };

		if (!find(sc->o, NULL, 0, *s, &f))
			return unknown(sc, "-", s, 1);
		const char *rest = s[1] == '=' ? s + 2 : s + 1;
		bool has_value = s[1] == '=' || (takes_value(f.opt) && s[1]);
		int r = store_or_next(sc, &f, has_value ? rest : NULL);
		if (r < 0 || has_value || takes_value(f.opt))
			return r;
	}
	return 0;
}

/* A word that begins with a dash and is more than one. */
static int parse_dashed(struct scan *sc, const char *word)
{
	const char *dashes = word[1] == '-' ? "--" : "-";
	const char *name = word + strlen(dashes);
	size_t len = strcspn(name, "=");
	struct found f = { .dashes = dashes };

	if (!find(sc->o, name, len, 0, &f)) {
		if (dashes[1] == '-')
			return unknown(sc, dashes, name, len);
		/* A word of letters that are no options at all was meant as a long name. */
		return find(sc->o, NULL, 0, *name, &f) ? parse_letters(sc, name) : unknown(sc, dashes, name, len);
	}
	memcpy(f.name, name, len < sizeof(f.name) ? len : sizeof(f.name) - 1);
	return store_or_next(sc, &f, name[len] == '=' ? name + len + 1 : NULL);
}

static void take_rest(struct scan *sc)
{
	while (*sc->next)
		sc->args[sc->n_args++] = *sc->next++;
}

int opts_parse(const struct opts *o, char *const *argv, const char ***ret_args, size_t *ret_n, struct err *e)
{
	struct scan sc = { .o = o, .next = argv, .e = e };
	size_t n = 0;

	while (argv[n])
		n++;
	sc.args = oci_arena_alloc(o->arena, (n + 1) * sizeof(*sc.args));
	if (!sc.args)
		return no_memory(e);
	while (*sc.next) {
		const char *word = *sc.next++;
		if (streq(word, "--")) {
			take_rest(&sc);
		} else if (word[0] == '-' && word[1]) {
			int r = parse_dashed(&sc, word);
			if (r < 0)
				return r;
		} else {
			sc.args[sc.n_args++] = word;
			if (o->stops)
				take_rest(&sc);
		}
	}
	*ret_args = sc.args;
	*ret_n = sc.n_args;
	return 0;
}

const char *opts_help(const struct opt_set *set, struct oci_arena *a)
{
	const char *text = "";

	for (size_t i = 0; i < set->n && text; i++) {
		const struct opt *opt = &set->v[i];
		const char letter[] = { '-', opt->letter, ',', ' ', '\0' };
		const char *arg = opt->arg ? opt->arg : "";
		if (opt->kind == OPT_REFUSE || !opt->help)
			continue;
		int pad = 24 - (int)(strlen(opt->name) + strlen(arg) + (opt->arg != NULL));
		text = oci_arena_printf(a, "%s  %s--%s%s%s%*s  %s\n", text, opt->letter ? letter : "    ", opt->name,
					opt->arg ? " " : "", arg, pad > 0 ? pad : 0, "", opt->help);
	}
	return text;
}
