base_sources = \
	include/hull/path.h \
	src/base/buf.c src/base/buf.h \
	src/base/clock.c src/base/clock.h \
	src/base/ctl.c src/base/ctl.h \
	src/base/err.c src/base/err.h \
	src/base/fd.c src/base/fd.h \
	src/base/interrupt.c src/base/interrupt.h \
	src/base/io.c src/base/io.h \
	src/base/log.c src/base/log.h \
	src/base/num.c src/base/num.h \
	src/base/util.h
