sys_sources = \
	src/sys/idmap.c src/sys/idmap.h \
	src/sys/mnt.c src/sys/mnt.h \
	src/sys/net.c src/sys/net.h \
	src/sys/ns.c src/sys/ns.h \
	src/sys/procfs.c src/sys/procfs.h \
	src/sys/rootfs.c src/sys/rootfs.h \
	src/sys/sched.h \
	src/sys/sys.c src/sys/sys.h
