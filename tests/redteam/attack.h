// SPDX-License-Identifier: AGPL-3.0-only
// What the attacks share: a child that is somebody else, a look through a process's memory, a system call made inside another
// process, and the secret that is looked for. One thread.
#ifndef AUSPEX_TESTS_REDTEAM_ATTACK_H_
#define AUSPEX_TESTS_REDTEAM_ATTACK_H_

#include <sys/types.h>

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace auspex::redteam {

// Two users that this machine need not know.
inline constexpr uid_t kVictim = 42424, kStranger = 42425;

// Becomes `user`, without privileges. In a child only.
void Become(uid_t user);
// What `attack` returned (0..255) in a child that is `user`; -1 when the child was killed.
int AsUser(uid_t user, const std::function<int()>& attack);
// Gives `path` and all below it to `user`.
void GiveTo(uid_t user, const std::string& path);

// The seed of the key below `home`, by opening its sealed file with its local secret. Empty (and the test fails) when that does
// not work.
std::string SeedOf(const std::string& home);

// A form or a part of a secret that must not be found.
struct Needle {
  std::string name, octets;
};
// Of the seed and of what Ed25519 makes of it (RFC 8032, section 5.1.5): every aligned part of 8 octets of seed, scalar and
// prefix, the two spellings of the seed in text, and the scalar in the limbs that libsodium computes with.
std::vector<Needle> NeedlesOf(const std::string& seed);

struct Scan {
  std::vector<std::string> found;  // "seed+8 in 7f.. [heap]"
  size_t octets = 0;               // read
  size_t unreadable = 0;           // mappings that nobody can read
};
// All readable mappings of a process, through /proc/PID/mem; nullopt when that cannot be opened.
std::optional<Scan> ScanMemory(pid_t pid, const std::vector<Needle>& needles);
// "name: value" line of /proc/PID/status.
std::string StatusLine(pid_t pid, pid_t thread, const std::string& name);
std::vector<pid_t> ThreadsOf(pid_t pid);

// Whether this test may make calls inside another process: root on x86-64.
bool CanInject();

// What became of a call that a traced process was made to do.
struct Injected {
  bool done = false;    // the call returned
  long result = 0;      // then: as the kernel gave it
  int wait_status = 0;  // else: how the process ended
};
// x86-64 alone; the process must be a child of the test or the test must be root. Waits for the process to sleep in a call.
std::optional<Injected> InjectCall(pid_t pid, long number, std::array<unsigned long, 6> arguments);
// The same for a process that is another's child and is expected to end by the call: its end is that one's to see. Fails the test
// when the process cannot be stopped.
void StartDeniedCall(pid_t pid, long number, std::array<unsigned long, 6> arguments);

}  // namespace auspex::redteam

#endif  // AUSPEX_TESTS_REDTEAM_ATTACK_H_
