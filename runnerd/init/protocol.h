// SPDX-License-Identifier: AGPL-3.0-only
// What runnerd and auspex-unit-init (the first program inside a sandbox) agree on. Header only, no
// dependencies, since the init is a small static program.
//
// Start:  auspex-unit-init --echo
//         auspex-unit-init --self-look
//         auspex-unit-init --run MAX_OUTPUT NOFILE FSIZE ADDRESS_SPACE NPROC CPU_SECONDS FILES --
//                          PROGRAM [ARGUMENT...]
//         (numbers are decimal octets, counts or seconds; 0 means no limit)
// Descriptors: 0 the input, to its end; 1 the report, which no tenant ever holds; 2 the tenant's
// output, both kinds.
// Report: "auspex-unit 2 started FACTS\n" as soon as the program runs; FACTS are words NAME=NUMBER
//         about this process, read from the kernel before anything of a tenant's is: pid, uid, gid,
//         no_new_privs, seccomp, caps (all five sets together, hexadecimal), landlock (the
//         interface in force, 0: none, -1: failed), and the namespaces user, mnt, pid_ns, net, ipc,
//         uts (inode numbers). Then exactly one of
//         "end exited STATUS OUTPUT SIZE\n"  the executor ended by itself; OUTPUT is a word of
//                                            kOutput...
//                                            (with "too-many-files" it was ended for that,
//                                            and STATUS is how many it may have)
//         "end signaled SIGNAL none 0\n"     the executor was ended by a signal
//         "end failed ERRNO none 0\n"        the executor (or its input) could not be started
//         "end walls 0 LAYER 0\n"            the executor was not started: that layer is missing
//         followed by SIZE octets (only with OUTPUT "ok").
#ifndef AUSPEX_RUNNERD_INIT_PROTOCOL_H_
#define AUSPEX_RUNNERD_INIT_PROTOCOL_H_

namespace auspex::unit_init {

inline constexpr char kStarted[] = "auspex-unit 2 started";
inline constexpr unsigned long kMaxStartedLine = 512;

inline constexpr char kOutputOk[] = "ok";
inline constexpr char kOutputNone[] = "none";  // not looked for: the executor failed
inline constexpr char kOutputMissing[] = "missing";
inline constexpr char kOutputNotRegular[] = "not-regular";  // a link, FIFO, device, folder, socket
inline constexpr char kOutputTooLarge[] = "too-large";
inline constexpr char kOutputUnreadable[] = "unreadable";
inline constexpr char kOutputTooManyFiles[] = "too-many-files";  // the scratch held over FILES

// FILES are the files, folders and links that a unit may have in its scratch at one time. Each takes
// about 1 KiB of the kernel's memory, which without cgroup v2 no other limit counts, and bubblewrap
// bounds only a tmpfs's octets.
inline constexpr long kLookEveryNanos = 100'000'000;  // how often they are counted

// Where things are inside every sandbox. No path of the host appears there.
inline constexpr char kInitPath[] = "/run/auspex/unit-init";
inline constexpr char kUnitDir[] =
    "/unit";  // sized tmpfs, the only place that can be written (and /dev/shm)
inline constexpr char kShmDir[] = "/dev/shm";
inline constexpr char kInputPath[] = "/unit/input.json";
inline constexpr char kOutputPath[] = "/unit/output.json";
inline constexpr char kModelsDir[] = "/unit/models";
inline constexpr char kTmpDir[] = "/unit/tmp";  // /tmp links to it
inline constexpr char kPackageDir[] = "/package";
inline constexpr char kUnpackPath[] = "/run/auspex/unpack";
inline constexpr char kHostName[] = "auspex";
inline constexpr int kSandboxUid = 65534;

}  // namespace auspex::unit_init

#endif  // AUSPEX_RUNNERD_INIT_PROTOCOL_H_
