/* SPDX-License-Identifier: Apache-2.0 */
/* mounts[].options: every word of the specification's table, decided once. (config.md, Linux mount options) */
#include <errno.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "plan/plan.h"

enum word_kind {
	W_NOTHING,  /* accepted, says what is the case anyway */
	W_ATTR,     /* attribute of the mount */
	W_RATTR,    /* of the mount and all below it */
	W_ATIME,    /* one of the exclusive access-time modes */
	W_RATIME,
	W_SB,       /* flag of the superblock: fsconfig */
	W_LEGACY,   /* known to mount(2) only */
	W_PROP,
	W_BIND,
	W_REMOUNT,
	W_COPY_UP,
	W_IDMAP,    /* the ids of the mount are mapped; recursive when on */
	W_LINK,     /* a symbolic link as source or destination of a bind (crun's words) */
};

enum { SB_SYNC = 1 << 0, SB_DIRSYNC = 1 << 1, SB_LAZYTIME = 1 << 2, SB_MAND = 1 << 3 };

static const struct { uint32_t bit; const char *name; } sb_names[] = {
	{ SB_SYNC, "sync" }, { SB_DIRSYNC, "dirsync" }, { SB_LAZYTIME, "lazytime" }, { SB_MAND, "mand" },
};

/* Sorted by word: searched by bisection and printed by `features`. */
static const struct word {
	const char *word;
	uint8_t kind;
	bool on;
	uint64_t value;
} words[] = {
	{ "async", W_SB, false, SB_SYNC },
	{ "atime", W_ATIME, true, MOUNT_ATTR_RELATIME },
	{ "bind", W_BIND, false, 0 },
	{ "copy-symlink", W_LINK, true, SOURCE_COPY_LINK },
	{ "defaults", W_NOTHING, false, 0 },
	{ "dest-nofollow", W_LINK, true, BIND_AT_NOFOLLOW },
	{ "dev", W_ATTR, false, MOUNT_ATTR_NODEV },
	{ "diratime", W_ATTR, false, MOUNT_ATTR_NODIRATIME },
	{ "dirsync", W_SB, true, SB_DIRSYNC },
	{ "exec", W_ATTR, false, MOUNT_ATTR_NOEXEC },
	{ "idmap", W_IDMAP, false, 0 },
	{ "iversion", W_LEGACY, true, MNT_LEGACY_IVERSION },
	{ "lazytime", W_SB, true, SB_LAZYTIME },
	{ "loud", W_LEGACY, false, MNT_LEGACY_SILENT },
	{ "mand", W_SB, true, SB_MAND },
	{ "noatime", W_ATIME, true, MOUNT_ATTR_NOATIME },
	{ "nodev", W_ATTR, true, MOUNT_ATTR_NODEV },
	{ "nodiratime", W_ATTR, true, MOUNT_ATTR_NODIRATIME },
	{ "noexec", W_ATTR, true, MOUNT_ATTR_NOEXEC },
	{ "noiversion", W_LEGACY, false, MNT_LEGACY_IVERSION },
	{ "nolazytime", W_SB, false, SB_LAZYTIME },
	{ "nomand", W_SB, false, SB_MAND },
	{ "norelatime", W_ATIME, true, MOUNT_ATTR_RELATIME },
	{ "nostrictatime", W_ATIME, true, MOUNT_ATTR_RELATIME },
	{ "nosuid", W_ATTR, true, MOUNT_ATTR_NOSUID },
	{ "nosymfollow", W_ATTR, true, MOUNT_ATTR_NOSYMFOLLOW },
	{ "private", W_PROP, true, MS_PRIVATE },
	{ "ratime", W_RATIME, true, MOUNT_ATTR_RELATIME },
	{ "rbind", W_BIND, true, 0 },
	{ "rdev", W_RATTR, false, MOUNT_ATTR_NODEV },
	{ "rdiratime", W_RATTR, false, MOUNT_ATTR_NODIRATIME },
	{ "relatime", W_ATIME, true, MOUNT_ATTR_RELATIME },
	{ "remount", W_REMOUNT, true, 0 },
	{ "rexec", W_RATTR, false, MOUNT_ATTR_NOEXEC },
	{ "ridmap", W_IDMAP, true, 0 },
	{ "rnoatime", W_RATIME, true, MOUNT_ATTR_NOATIME },
	{ "rnodev", W_RATTR, true, MOUNT_ATTR_NODEV },
	{ "rnodiratime", W_RATTR, true, MOUNT_ATTR_NODIRATIME },
	{ "rnoexec", W_RATTR, true, MOUNT_ATTR_NOEXEC },
	{ "rnorelatime", W_RATIME, true, MOUNT_ATTR_RELATIME },
	{ "rnostrictatime", W_RATIME, true, MOUNT_ATTR_RELATIME },
	{ "rnosuid", W_RATTR, true, MOUNT_ATTR_NOSUID },
	{ "rnosymfollow", W_RATTR, true, MOUNT_ATTR_NOSYMFOLLOW },
	{ "ro", W_ATTR, true, MOUNT_ATTR_RDONLY },
	{ "rprivate", W_PROP, true, MS_PRIVATE | MS_REC },
	{ "rrelatime", W_RATIME, true, MOUNT_ATTR_RELATIME },
	{ "rro", W_RATTR, true, MOUNT_ATTR_RDONLY },
	{ "rrw", W_RATTR, false, MOUNT_ATTR_RDONLY },
	{ "rshared", W_PROP, true, MS_SHARED | MS_REC },
	{ "rslave", W_PROP, true, MS_SLAVE | MS_REC },
	{ "rstrictatime", W_RATIME, true, MOUNT_ATTR_STRICTATIME },
	{ "rsuid", W_RATTR, false, MOUNT_ATTR_NOSUID },
	{ "rsymfollow", W_RATTR, false, MOUNT_ATTR_NOSYMFOLLOW },
	{ "runbindable", W_PROP, true, MS_UNBINDABLE | MS_REC },
	{ "rw", W_ATTR, false, MOUNT_ATTR_RDONLY },
	{ "shared", W_PROP, true, MS_SHARED },
	{ "silent", W_LEGACY, true, MNT_LEGACY_SILENT },
	{ "slave", W_PROP, true, MS_SLAVE },
	{ "src-nofollow", W_LINK, true, SOURCE_NOFOLLOW },
	{ "strictatime", W_ATIME, true, MOUNT_ATTR_STRICTATIME },
	{ "suid", W_ATTR, false, MOUNT_ATTR_NOSUID },
	{ "symfollow", W_ATTR, false, MOUNT_ATTR_NOSYMFOLLOW },
	{ "sync", W_SB, true, SB_SYNC },
	{ "tmpcopyup", W_COPY_UP, true, 0 },
	{ "unbindable", W_PROP, true, MS_UNBINDABLE },
};

static int compare_word(const void *key, const void *row)
{
	return strcmp(key, ((const struct word *)row)->word);
}

static void set_attr(uint64_t *set, uint64_t *clr, bool on, uint64_t value)
{
	*set = on ? *set | value : *set & ~value;
	*clr = on ? *clr & ~value : *clr | value;
}

/* The access-time modes exclude each other: the field is cleared as a whole and one mode is set (mount_setattr(2)). */
static void set_atime(uint64_t *set, uint64_t *clr, uint64_t mode)
{
	*set = (*set & ~(uint64_t)MOUNT_ATTR__ATIME) | mode;
	*clr |= MOUNT_ATTR__ATIME;
}

static void apply_word(struct mount_words *w, const struct word *row)
{
	switch (row->kind) {
	case W_ATTR:
		set_attr(&w->set, &w->clr, row->on, row->value);
		if (row->value == MOUNT_ATTR_RDONLY)
			w->ro = row->on;
		break;
	case W_RATTR:
		set_attr(&w->rset, &w->rclr, row->on, row->value);
		break;
	case W_ATIME:
		set_atime(&w->set, &w->clr, row->value);
		break;
	case W_RATIME:
		set_atime(&w->rset, &w->rclr, row->value);
		break;
	case W_SB:
		w->sb_flags = row->on ? w->sb_flags | (uint32_t)row->value : w->sb_flags & ~(uint32_t)row->value;
		break;
	case W_LEGACY:
		w->legacy = row->on ? w->legacy | (uint32_t)row->value : w->legacy & ~(uint32_t)row->value;
		break;
	case W_PROP:
		w->prop = (uint32_t)row->value;
		break;
	case W_BIND:
		w->bind = true;
		w->recursive = row->on;
		break;
	case W_REMOUNT:
		w->remount = true;
		break;
	case W_IDMAP:
		w->idmap = row->on ? MOUNT_IDMAP_REC : MOUNT_IDMAP_ONE;
		break;
	case W_COPY_UP:
		w->copy_up = true;
		break;
	case W_LINK:
		w->links |= (uint32_t)row->value;
		break;
	default:
		break;
	}
}

/* tmpcopyup has no meaning but on a new tmpfs; elsewhere it would be a promise that nobody keeps. */
static int check_copy_up(struct plan *p, const struct oci_mount *m, const char *where, const struct mount_words *w, struct err *e)
{
	size_t i = 0;

	if (!w->copy_up || (m->type && streq(m->type, "tmpfs") && !w->bind && !w->remount))
		return 0;
	while (!streq(m->options.v[i], "tmpcopyup"))
		i++;
	return err_config(e, plan_text(p, "%s.options[%zu]", where, i), "\"tmpcopyup\" — needs a new mount of type \"tmpfs\"");
}

/* Where nothing is bound there is no link to speak of. */
static int check_links(struct plan *p, const struct oci_mount *m, const char *where, const struct mount_words *w, struct err *e)
{
	size_t i = 0;

	if (!w->links || (w->bind && !w->remount))
		return 0;
	while (!streq(m->options.v[i], "copy-symlink") && !streq(m->options.v[i], "dest-nofollow") && !streq(m->options.v[i], "src-nofollow"))
		i++;
	return err_config(e, plan_text(p, "%s.options[%zu]", where, i), "\"%s\" — needs a bind mount", m->options.v[i]);
}

/* A word that isn't in the table belongs to the file system: "key=value" or a flag. */
static void add_data(struct plan *p, struct mount_words *w, const char *word, size_t index)
{
	const char *eq = strchr(word, '=');
	char *key = oci_arena_strndup(p->arena, word, eq ? (size_t)(eq - word) : strlen(word));

	w->data[w->n_data] = (struct blob_mount_opt){ plan_str(p, key), eq ? plan_str(p, eq + 1) : (struct bstr){ 0 } };
	w->data_word[w->n_data] = word;
	w->data_index[w->n_data++] = index;
}

int mount_words_parse(struct plan *p, const struct oci_mount *m, const char *where, struct mount_words *ret, struct err *e)
{
	*ret = (struct mount_words){ 0 };
	ret->data = oci_arena_alloc(p->arena, (m->options.n + 1) * sizeof(*ret->data));
	ret->data_word = oci_arena_alloc(p->arena, (m->options.n + 1) * sizeof(*ret->data_word));
	ret->data_index = oci_arena_alloc(p->arena, (m->options.n + 1) * sizeof(*ret->data_index));
	if (!ret->data || !ret->data_word || !ret->data_index)
		return err_sys(e, -ENOMEM, "read the options of %s", where);
	for (size_t i = 0; i < m->options.n; i++) {
		const char *word = m->options.v[i];
		const struct word *row = bsearch(word, words, ARRAY_LEN(words), sizeof(words[0]), compare_word);
		const char *at = plan_text(p, "%s.options[%zu]", where, i);

		bool mapped = str_starts(word, "idmap=") || str_starts(word, "ridmap=");
		if (mapped) {
			ret->idmap = word[0] == 'r' ? MOUNT_IDMAP_REC : MOUNT_IDMAP_ONE;
			ret->idmap_text = word;
			ret->idmap_at = at;
		} else if (row)
			apply_word(ret, row);
		else if (word[0] && word[0] != '=')
			add_data(p, ret, word, i);
		else if (word[0]) /* an empty word says nothing: podman 5 has one where a container without a label would have it */
			return err_config(e, at, "\"%s\" — not a mount option", word);
	}
	if (m->type && streq(m->type, "bind") && !ret->bind)
		ret->bind = true;
	int r = check_links(p, m, where, ret, e);
	return r == 0 ? check_copy_up(p, m, where, ret, e) : r;
}

const char *const *mount_words_known(void)
{
	static const char *known[ARRAY_LEN(words) + 1];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		known[n++] = words[i].word;
	known[n] = NULL;
	return known;
}

unsigned mount_words_sb_names(uint32_t sb_flags, const char **ret)
{
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_LEN(sb_names); i++)
		if (sb_flags & sb_names[i].bit)
			ret[n++] = sb_names[i].name;
	return n;
}
