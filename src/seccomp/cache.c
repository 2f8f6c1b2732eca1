/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled profiles below the state root. A file holds its whole key beside the program: the name, a hash, only finds it. Whoever can write there is the
 * caller himself (0700, checked), and what he has damaged is compiled anew. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"
#include "ocispec/ocispec.h"
#include "ocispec/schema.h"
#include "seccomp/internal.h"

#define CACHE_DIR ".seccomp"
#define CACHE_FILES_MAX 32
#define CACHE_FILE_MAX ((size_t)512 << 10)
/* Below that libseccomp takes less than a millisecond. */
#define CACHE_FROM_NAMES 64
#define FORMAT "hull-seccomp 1"

struct file {
	uint64_t sum; /* of all that follows */
	uint32_t key_len, n, flags, notify;
};

static uint64_t stamp(const char *path, uint64_t sum)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return sum;
	uint64_t v[] = { st.st_dev, st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec };
	return num_sum64(sum, v, sizeof(v));
}

/* All that decides what the program looks like: this hull, the libseccomp in it or beside it, the kernel, the machine, the profile. */
static const char *make_key(const struct oci_seccomp *s, struct oci_arena *a)
{
	const char *profile = oci_write(&oci_seccomp_desc, s, 0, a, NULL);
	struct utsname u;
	Dl_info lib;

	if (!profile || uname(&u) < 0)
		return NULL;
	uint64_t made = stamp("/proc/self/exe", NUM_SUM64_START);
	if (dladdr((void *)(uintptr_t)seccomp_init, &lib) && lib.dli_fname && lib.dli_fname[0] == '/')
		made = stamp(lib.dli_fname, made);
	return oci_arena_printf(a, FORMAT "\nlibseccomp %s\nmade %016" PRIx64 "\narch %08x\nkernel %s %s\n%s", seccomp_library_version(), made,
				seccomp_arch_native(), u.release, u.machine, profile);
}

static const char *file_name(const char *key, char buf[32])
{
	snprintf(buf, 32, "%016" PRIx64, num_sum64(NUM_SUM64_START, key, strlen(key)));
	return buf;
}

bool seccomp_cache_wants(const struct oci_seccomp *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_syscalls; i++)
		n += s->syscalls[i].names.n;
	return n >= CACHE_FROM_NAMES;
}

/* Ours alone, or not used. */
static int open_private(int dfd, const char *name, int flags)
{
	scoped_fd int fd = openat(dfd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 077) || (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)))
		return -EPERM;
	return take_fd(&fd);
}

/* Is what was read whole, and made of this key? */
static bool take_file(const char *key, char *data, size_t size, struct seccomp_filter *ret)
{
	struct file h;
	size_t key_len = strlen(key);

	if (size < sizeof(h))
		return false;
	memcpy(&h, data, sizeof(h));
	if (h.key_len != key_len || h.n == 0 || h.n > BPF_MAXINSNS || size != sizeof(h) + h.n * sizeof(struct sock_filter) + key_len)
		return false;
	char *insns = data + sizeof(h), *its_key = insns + h.n * sizeof(struct sock_filter);
	if (memcmp(its_key, key, key_len) != 0 || h.sum != num_sum64(NUM_SUM64_START, data + sizeof(h.sum), size - sizeof(h.sum)))
		return false;
	*ret = (struct seccomp_filter){ .insns = (void *)insns, .n = h.n, .flags = h.flags, .notify = h.notify };
	return true;
}

bool seccomp_cache_find(struct seccomp_cache *c, const struct oci_seccomp *s, struct oci_arena *a, struct seccomp_filter *ret)
{
	char name[32], *data;

	c->key = make_key(s, a);
	if (!c->key || c->root_dfd < 0)
		return false;
	scoped_fd int dfd = open_private(c->root_dfd, CACHE_DIR, O_RDONLY | O_DIRECTORY);
	scoped_fd int fd = dfd < 0 ? -EBADF : open_private(dfd, file_name(c->key, name), O_RDONLY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || (size_t)st.st_size > CACHE_FILE_MAX || !(data = oci_arena_alloc(a, (size_t)st.st_size + 2)))
		return false;
	ssize_t n = io_read_fd(fd, data, (size_t)st.st_size + 2);
	return n > 0 && take_file(c->key, data, (size_t)n, ret);
}

/* Make room for one: the oldest goes. */
static int make_room(int dfd)
{
	for (;;) {
		int fd = openat(dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
		char oldest[256] = "";
		struct timespec when = { 0 };
		size_t n = 0;

		if (!d) {
			fd_close_scoped(&fd);
			return -EIO;
		}
		for (struct dirent *de = readdir(d); de; de = readdir(d)) {
			struct stat st;
			if (streq(de->d_name, ".") || streq(de->d_name, "..") || fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
				continue;
			bool older = st.st_mtim.tv_sec < when.tv_sec || (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec < when.tv_nsec);
			if (n++ && !older)
				continue;
			when = st.st_mtim;
			snprintf(oldest, sizeof(oldest), "%s", de->d_name);
		}
		closedir(d);
		if (n < CACHE_FILES_MAX)
			return 0;
		if (unlinkat(dfd, oldest, 0) < 0 && errno != ENOENT)
			return -errno;
	}
}

int seccomp_cache_keep(const struct seccomp_cache *c, int root_dfd, const struct seccomp_filter *f, struct oci_arena *a)
{
	size_t insns = f->n * sizeof(*f->insns), key_len = c->key ? strlen(c->key) : 0, size = sizeof(struct file) + insns + key_len;
	struct file h = { .key_len = (uint32_t)key_len, .n = (uint32_t)f->n, .flags = f->flags, .notify = f->notify };
	char name[32], *data;

	if (!c->key || size > CACHE_FILE_MAX || f->warned)
		return 0;
	if (mkdirat(root_dfd, CACHE_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	scoped_fd int dfd = open_private(root_dfd, CACHE_DIR, O_RDONLY | O_DIRECTORY);
	if (dfd < 0)
		return dfd;
	data = oci_arena_alloc(a, size);
	if (!data)
		return -ENOMEM;
	memcpy(data + sizeof(h), f->insns, insns);
	memcpy(data + sizeof(h) + insns, c->key, key_len);
	memcpy(data, &h, sizeof(h));
	h.sum = num_sum64(NUM_SUM64_START, data + sizeof(h.sum), size - sizeof(h.sum));
	memcpy(data, &h.sum, sizeof(h.sum));
	int r = make_room(dfd);
	return r < 0 ? r : io_replace_at(dfd, file_name(c->key, name), data, size, 0600);
}
