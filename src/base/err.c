/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>

/* Go's texts for Linux (package syscall). Engines match "no such file or directory", "permission denied", "is a directory",
 * "no such process" case-sensitively; the C library's start with a capital letter. */
static const struct {
	int code;
	const char *text;
} errno_texts[] = {
	{ EPERM, "operation not permitted" },
	{ ENOENT, "no such file or directory" },
	{ ESRCH, "no such process" },
	{ EINTR, "interrupted system call" },
	{ EIO, "input/output error" },
	{ ENXIO, "no such device or address" },
	{ E2BIG, "argument list too long" },
	{ ENOEXEC, "exec format error" },
	{ EBADF, "bad file descriptor" },
	{ ECHILD, "no child processes" },
	{ EAGAIN, "resource temporarily unavailable" },
	{ ENOMEM, "cannot allocate memory" },
	{ EACCES, "permission denied" },
	{ EFAULT, "bad address" },
	{ ENOTBLK, "block device required" },
	{ EBUSY, "device or resource busy" },
	{ EEXIST, "file exists" },
	{ EXDEV, "invalid cross-device link" },
	{ ENODEV, "no such device" },
	{ ENOTDIR, "not a directory" },
	{ EISDIR, "is a directory" },
	{ EINVAL, "invalid argument" },
	{ ENFILE, "too many open files in system" },
	{ EMFILE, "too many open files" },
	{ ENOTTY, "inappropriate ioctl for device" },
	{ ETXTBSY, "text file busy" },
	{ EFBIG, "file too large" },
	{ ENOSPC, "no space left on device" },
	{ ESPIPE, "illegal seek" },
	{ EROFS, "read-only file system" },
	{ EMLINK, "too many links" },
	{ EPIPE, "broken pipe" },
	{ EDOM, "numerical argument out of domain" },
	{ ERANGE, "numerical result out of range" },
	{ EDEADLK, "resource deadlock avoided" },
	{ ENAMETOOLONG, "file name too long" },
	{ ENOSYS, "function not implemented" },
	{ ENOTEMPTY, "directory not empty" },
	{ ELOOP, "too many levels of symbolic links" },
	{ ENODATA, "no data available" },
	{ ETIME, "timer expired" },
	{ EPROTO, "protocol error" },
	{ EBADMSG, "bad message" },
	{ EOVERFLOW, "value too large for defined data type" },
	{ EILSEQ, "invalid or incomplete multibyte or wide character" },
	{ EUSERS, "too many users" },
	{ ENOTSOCK, "socket operation on non-socket" },
	{ EMSGSIZE, "message too long" },
	{ EPROTONOSUPPORT, "protocol not supported" },
	{ EOPNOTSUPP, "operation not supported" },
	{ EAFNOSUPPORT, "address family not supported by protocol" },
	{ EADDRINUSE, "address already in use" },
	{ EADDRNOTAVAIL, "cannot assign requested address" },
	{ ENETDOWN, "network is down" },
	{ ENETUNREACH, "network is unreachable" },
	{ ECONNABORTED, "software caused connection abort" },
	{ ECONNRESET, "connection reset by peer" },
	{ ENOBUFS, "no buffer space available" },
	{ EISCONN, "transport endpoint is already connected" },
	{ ENOTCONN, "transport endpoint is not connected" },
	{ ETIMEDOUT, "connection timed out" },
	{ ECONNREFUSED, "connection refused" },
	{ EALREADY, "operation already in progress" },
	{ EINPROGRESS, "operation now in progress" },
	{ ESTALE, "stale file handle" },
	{ EDQUOT, "disk quota exceeded" },
	{ ECANCELED, "operation canceled" },
	{ EKEYEXPIRED, "key has expired" },
	{ EKEYREVOKED, "key has been revoked" },
	{ ENOKEY, "required key not available" },
};

const char *err_text(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(errno_texts); i++)
		if (errno_texts[i].code == code)
			return errno_texts[i].text;
	return "unknown error";
}

static void fill(struct err *e, enum err_kind kind, int code, const char *path, const char *fmt, va_list ap)
{
	memset(e, 0, sizeof(*e));
	e->kind = (uint16_t)kind;
	e->code = code;
	if (path)
		snprintf(e->path, sizeof(e->path), "%s", path);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
}

int err_set(struct err *e, enum err_kind kind, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, kind, code, NULL, fmt, ap);
	va_end(ap);
	return code > 0 ? -code : -EINVAL;
}

int err_sys(struct err *e, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, ERR_SYS, -r, NULL, fmt, ap);
	va_end(ap);
	return r;
}

int err_config(struct err *e, const char *path, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, ERR_CONFIG, 0, path, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int err_wrap(struct err *e, int r, const char *fmt, ...)
{
	char outer[sizeof(e->msg)], inner[sizeof(e->msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(outer, sizeof(outer), fmt, ap);
	va_end(ap);
	memcpy(inner, e->msg, sizeof(inner));
	inner[sizeof(inner) - 1] = '\0';
	if (e->kind == ERR_NONE)
		*e = (struct err){ .kind = ERR_SYS, .code = -r };
	/* What is inside says more than what is around it: cut the outer text first. */
	size_t in = strnlen(inner, sizeof(inner) - 1), out = strlen(outer), room = sizeof(e->msg) - 1 - in;
	if (in == 0) {
		memcpy(e->msg, outer, out + 1);
	} else if (room > 8) {
		out = out < room - 2 ? out : room - 2;
		memcpy(e->msg, outer, out);
		memcpy(e->msg + out, ": ", 2);
		memcpy(e->msg + out + 2, inner, in + 1);
	}
	return r;
}

int err_at(struct err *e, int r, const char *path)
{
	if (path && path[0] && !e->path[0])
		snprintf(e->path, sizeof(e->path), "%s", path);
	return r;
}

/* Length of the valid UTF-8 sequence at s, 0 if there is none. Overlong forms and surrogates don't count. */
static size_t utf8_len(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return (s[1] & 0xc0) == 0x80 ? 2 : 0;
	if ((s[0] & 0xf0) == 0xe0) {
		unsigned char lo = s[0] == 0xe0 ? 0xa0 : 0x80, hi = s[0] == 0xed ? 0x9f : 0xbf;
		return s[1] >= lo && s[1] <= hi && (s[2] & 0xc0) == 0x80 ? 3 : 0;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		unsigned char lo = s[0] == 0xf0 ? 0x90 : 0x80, hi = s[0] == 0xf4 ? 0x8f : 0xbf;
		return s[1] >= lo && s[1] <= hi && (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80 ? 4 : 0;
	}
	return 0;
}

const char *err_escape(const char *s, char *buf, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *u = (const unsigned char *)s;
	size_t o = 0;

	while (*u) {
		size_t n = utf8_len(u);
		/* U+0080 – U+009F are control characters too: a terminal obeys them. */
		bool control = *u < 0x20 || *u == 0x7f || (u[0] == 0xc2 && n == 2 && u[1] < 0xa0);

		if (n == 0 || control) {
			if (o + 5 > size)
				break;
			buf[o++] = '\\';
			buf[o++] = 'x';
			buf[o++] = hex[*u >> 4];
			buf[o++] = hex[*u & 15];
			u++;
			continue;
		}
		if (o + n + 1 > size)
			break;
		memcpy(buf + o, u, n);
		o += n;
		u += n;
	}
	if (size)
		buf[o] = '\0';
	return buf;
}

const char *err_render(const struct err *e, char *buf, size_t size)
{
	char raw[sizeof(e->msg) + sizeof(e->path) + sizeof(e->kernel) + 128];
	const char *colon = e->code ? ": " : "";
	const char *text = e->code ? err_text(e->code) : "";

	if (e->kind == ERR_CONFIG)
		snprintf(raw, sizeof(raw), "config.json: %s%s%s%s%s", e->path, e->path[0] ? ": " : "", e->msg, colon, text);
	else
		snprintf(raw, sizeof(raw), "%s%s%s%s%s%s", e->msg, e->path[0] ? " (" : "", e->path, e->path[0] ? ")" : "", colon, text);
	if (e->kernel[0]) {
		size_t n = strlen(raw);
		snprintf(raw + n, sizeof(raw) - n, " (kernel: %s)", e->kernel);
	}
	return err_escape(raw, buf, size);
}

void err_sanitize(struct err *e)
{
	e->path[sizeof(e->path) - 1] = '\0';
	e->msg[sizeof(e->msg) - 1] = '\0';
	e->kernel[sizeof(e->kernel) - 1] = '\0';
	if (e->kind == ERR_NONE || e->kind >= ERR_KIND_MAX)
		e->kind = ERR_PEER;
	if (e->code < 0 || e->code > 4095)
		e->code = 0;
}
