/* Docker's default profile.
 *
 * What isn't named here is refused with EPERM: new mount API, key rings, BPF, io_uring,
 * userfaultfd, kexec, swap, module loading, clocks, namespaces. Groups that depend on a capability
 * look at the bounding set: who may not have CAP_SYS_ADMIN can't reach the code behind it either.
 */

#include "engine/security/seccomp_profile.h"

#include <errno.h>
#include <linux/capability.h>

#include "engine/security/security.h"

#define CAP(name) CAPABILITY_BIT(CAP_##name)

static const char files[] =
    "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 "
    "faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat "
    "fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock "
    "fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 "
    "futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init "
    "inotify_init1 inotify_rm_watch ioctl lchown lchown32 lgetxattr link linkat listmount "
    "listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir "
    "mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pread64 preadv preadv2 "
    "pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat "
    "rename renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 "
    "statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs tee truncate "
    "truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write "
    "writev";

static const char memory[] =
    "brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock "
    "mlock2 mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc "
    "pkey_free pkey_mprotect remap_file_pages";

static const char processes[] =
    "capget capset execve execveat exit exit_group fork getcpu getegid getegid32 geteuid "
    "geteuid32 getgid getgid32 getgroups getgroups32 getpgid getpgrp getpid getppid getpriority "
    "getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid "
    "get_thread_area gettid getuid getuid32 ioprio_get ioprio_set kill landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self pause pidfd_open pidfd_send_signal prctl "
    "prlimit64 process_mrelease restart_syscall riscv_hwprobe rseq rt_sigaction rt_sigpending "
    "rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
    "rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam "
    "sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval "
    "sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam "
    "sched_setscheduler sched_yield seccomp setfsgid setfsgid32 setfsuid setfsuid32 setgid "
    "setgid32 setgroups setgroups32 setpgid setpriority setregid setregid32 setresgid setresgid32 "
    "setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid set_thread_area "
    "set_tid_address setuid setuid32 sigaltstack signalfd signalfd4 sigprocmask sigreturn sysinfo "
    "tgkill times tkill ugetrlimit uname uretprobe vfork wait4 waitid waitpid "
    /* since Linux 4.8 a tracer can't get its tracee past the filter */
    "process_vm_readv process_vm_writev ptrace";

static const char waiting[] =
    "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 epoll_create epoll_create1 epoll_ctl "
    "epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 futex "
    "futex_requeue futex_time64 futex_wait futex_waitv futex_wake getitimer getrandom gettimeofday "
    "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit "
    "nanosleep _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 select setitimer time "
    "timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime "
    "timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime "
    "timerfd_settime64";

static const char talking[] =
    "accept accept4 bind connect getpeername getsockname getsockopt ipc listen mq_getsetattr "
    "mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 "
    "mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 recv recvfrom recvmmsg recvmmsg_time64 "
    "recvmsg semctl semget semop semtimedop semtimedop_time64 send sendmmsg sendmsg sendto "
    "setsockopt shmat shmctl shmdt shmget shutdown socketcall socketpair";

/* socket(): any family but AF_ALG (38) and AF_VSOCK (40), which reach code and machines that no
 * namespace keeps apart. Families are taken by common leading bits, since a filter compares for
 * equality under a mask. */
static const struct seccomp_compare socket_families[] = {
    {0, 0xffffffe0, 0},   /* 0…31 */
    {0, 0xfffffffc, 32},  /* 32…35 */
    {0, 0xfffffffe, 36},  /* 36, 37 */
    {0, 0xffffffff, 39},  /* 39 */
    {0, 0xffffffff, 41},  /* 41 */
    {0, 0xfffffffe, 42},  /* 42, 43 */
    {0, 0xfffffffc, 44},  /* 44…47 */
    {0, 0xfffffff0, 48},  /* 48…63 */
    {0, 0xffffffc0, 64},  /* 64…127: none exists yet, the kernel says EAFNOSUPPORT */
    {0, 0xffffff80, 128}, /* 128…255 */
};

/* personality(): Linux, Linux with 32-bit uname or without address randomisation's legacy, and the
 * question "which?". */
static const struct seccomp_compare personalities[] = {
    {0, 0xffffffff, 0x00000000}, {0, 0xffffffff, 0x00000008}, {0, 0xffffffff, 0x00020000},
    {0, 0xffffffff, 0x00020008}, {0, 0xffffffff, 0xffffffff},
};

/* clone(): no flag that makes a namespace (CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}). */
static const struct seccomp_compare clone_without_namespaces[] = {{0, 0x7e020000, 0}};

#define COMPARES(array) .compares = (array), .n_compares = sizeof(array) / sizeof(*(array))

const struct seccomp_group seccomp_groups[] = {
    {.calls = files},
    {.calls = memory},
    {.calls = processes},
    {.calls = waiting},
    {.calls = talking},
    {.calls = "socket", COMPARES(socket_families)},
    {.calls = "personality", COMPARES(personalities)},
    {.calls = "arch_prctl modify_ldt", .arch = SECCOMP_ARCH_X86_FAMILY},
    {.calls = "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
     .arch = SECCOMP_ARCH_ARM_FAMILY},
    {.calls = "clone", .unless_any_of = CAP(SYS_ADMIN), COMPARES(clone_without_namespaces)},
    /* its flags are behind a pointer, where no filter sees them: the C library then uses clone() */
    {.calls = "clone3", .unless_any_of = CAP(SYS_ADMIN), .errnum = ENOSYS},
    {.calls = "clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie "
              "lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr "
              "move_mount open_tree quotactl quotactl_fd setdomainname sethostname setns umount "
              "umount2 unshare",
     .if_any_of = CAP(SYS_ADMIN)},
    {.calls = "bpf", .if_any_of = CAP(SYS_ADMIN) | CAP(BPF)},
    {.calls = "perf_event_open", .if_any_of = CAP(SYS_ADMIN) | CAP(PERFMON)},
    {.calls = "syslog", .if_any_of = CAP(SYS_ADMIN) | CAP(SYSLOG)},
    {.calls = "open_by_handle_at", .if_any_of = CAP(DAC_READ_SEARCH)},
    {.calls = "reboot", .if_any_of = CAP(SYS_BOOT)},
    {.calls = "chroot", .if_any_of = CAP(SYS_CHROOT)},
    {.calls = "delete_module init_module finit_module", .if_any_of = CAP(SYS_MODULE)},
    {.calls = "acct", .if_any_of = CAP(SYS_PACCT)},
    {.calls = "kcmp pidfd_getfd process_madvise", .if_any_of = CAP(SYS_PTRACE)},
    {.calls = "iopl ioperm", .if_any_of = CAP(SYS_RAWIO)},
    {.calls = "settimeofday stime clock_settime clock_settime64", .if_any_of = CAP(SYS_TIME)},
    {.calls = "vhangup", .if_any_of = CAP(SYS_TTY_CONFIG)},
    {.calls = "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
     .if_any_of = CAP(SYS_NICE)},
};
const size_t seccomp_n_groups = sizeof(seccomp_groups) / sizeof(*seccomp_groups);

const struct seccomp_number seccomp_new_calls[] = {
    {"uretprobe", 335, SECCOMP_ARCH_X86_FAMILY},
    {"set_mempolicy_home_node", 450, SECCOMP_ARCH_ANY},
    {"cachestat", 451, SECCOMP_ARCH_ANY},
    {"fchmodat2", 452, SECCOMP_ARCH_ANY},
    {"map_shadow_stack", 453, SECCOMP_ARCH_ANY},
    {"futex_wake", 454, SECCOMP_ARCH_ANY},
    {"futex_wait", 455, SECCOMP_ARCH_ANY},
    {"futex_requeue", 456, SECCOMP_ARCH_ANY},
    {"statmount", 457, SECCOMP_ARCH_ANY},
    {"listmount", 458, SECCOMP_ARCH_ANY},
    {"lsm_get_self_attr", 459, SECCOMP_ARCH_ANY},
    {"lsm_set_self_attr", 460, SECCOMP_ARCH_ANY},
    {"lsm_list_modules", 461, SECCOMP_ARCH_ANY},
    {"mseal", 462, SECCOMP_ARCH_ANY},
    {"setxattrat", 463, SECCOMP_ARCH_ANY},
    {"getxattrat", 464, SECCOMP_ARCH_ANY},
    {"listxattrat", 465, SECCOMP_ARCH_ANY},
    {"removexattrat", 466, SECCOMP_ARCH_ANY},
    {NULL, 0, SECCOMP_ARCH_ANY},
};

uint64_t seccomp_relevant_capabilities(void)
{
    uint64_t relevant = 0;

    for (size_t i = 0; i < seccomp_n_groups; i++)
        relevant |= seccomp_groups[i].if_any_of | seccomp_groups[i].unless_any_of;
    return relevant;
}
