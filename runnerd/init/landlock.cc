// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/init/landlock.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "runnerd/host_places.h"
#include "runnerd/init/protocol.h"

namespace auspex::unit_init {
namespace {

// By number and value: Debian 12's headers know the second interface only, and the kernel that
// this runs on may know the seventh. The numbers are the same on every architecture.
constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;
constexpr unsigned kAskVersion = 1, kRulePathBeneath = 1;

constexpr uint64_t kExecute = 1 << 0, kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadDir = 1 << 3,
                   kMakeChar = 1 << 6, kMakeBlock = 1 << 11, kTruncate = 1 << 14,
                   kIoctlDevice = 1 << 15;
// Bit counts of the file rights that each interface knows: REFER came with 2, TRUNCATE with 3,
// IOCTL_DEV with 5.
constexpr uint64_t FileRights(int abi) {
  return (uint64_t{1} << (abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13)) - 1;
}

struct Ruleset {
  uint64_t files, network, scoped;
};
struct __attribute__((packed)) PathRule {
  uint64_t allowed;
  int32_t folder;
};

struct Shown {
  const char* path;
  uint64_t rights;
};
constexpr uint64_t kLook = kReadFile | kReadDir, kRun = kLook | kExecute;
// Everything there except devices, which nobody may make and none of which is driven by ioctl.
constexpr uint64_t kScratch = FileRights(3) & ~(kMakeChar | kMakeBlock);
constexpr uint64_t kDevice = kReadFile | kWriteFile | kTruncate;
// In /dev each node that may be opened has a rule of its own: pseudo-terminals, which /dev/ptmx makes,
// are counted for the host as a whole.
constexpr Shown kShown[] = {
    {"/usr", kRun},
    {"/bin", kRun},
    {"/sbin", kRun},
    {"/lib", kRun},
    {"/lib32", kRun},
    {"/lib64", kRun},
    {"/libx32", kRun},
    {kPackageDir, kRun},
    {"/etc", kLook},
    {"/proc", kLook},
    {"/dev", kReadDir},
    {kUnitDir, kScratch},
    {kShmDir, kScratch},
    {"/dev/null", kDevice},
    {"/dev/zero", kDevice},
    {"/dev/full", kDevice},
    {"/dev/random", kDevice},
    {"/dev/urandom", kDevice},
    {"/dev/tty", kDevice},
    // An empty name opens nothing.
    {runnerd::kSystemTree, kRun},
};

// False with errno. What a sandbox does not show needs no rule.
bool Allow(int ruleset, const Shown& shown, uint64_t known) {
  const int folder = open(shown.path, O_PATH | O_CLOEXEC);
  if (folder < 0) return errno == ENOENT;
  const PathRule rule{shown.rights & known, folder};
  const long added = syscall(kAddRule, ruleset, kRulePathBeneath, &rule, 0);
  const int error = errno;
  close(folder);
  errno = error;
  return added == 0;
}

// Nodes that this sandbox shows besides those of every sandbox: accelerators that the owner gave the
// tenant. Nothing else can put a node there.
bool AllowGranted(int ruleset, const char* folder, uint64_t known, int depth) {
  DIR* list = opendir(folder);
  if (list == nullptr) return errno == ENOENT;
  bool done = true;
  for (const dirent* entry = nullptr; done && (entry = readdir(list)) != nullptr;) {
    if (entry->d_name[0] == '.') continue;
    char path[512];
    const int length = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    struct stat info {};
    if (length < 0 || length >= static_cast<int>(sizeof path) || lstat(path, &info) != 0) continue;
    if (S_ISDIR(info.st_mode) && depth > 0 && strcmp(path, kShmDir) != 0 &&
        strcmp(path, "/dev/pts") != 0)
      done = AllowGranted(ruleset, path, known, depth - 1);
    bool of_every_sandbox = !S_ISCHR(info.st_mode);
    for (const Shown& shown : kShown)
      of_every_sandbox = of_every_sandbox || strcmp(path, shown.path) == 0;
    if (!of_every_sandbox) done = Allow(ruleset, {path, kDevice | kIoctlDevice}, known);
  }
  closedir(list);
  return done;
}

// The root is in no rule, so that reading it tells whether the rules hold.
bool Holds() {
  const int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root >= 0) close(root);
  return root < 0 && errno == EACCES;
}

}  // namespace

int LandlockAbi() {
  const long abi = syscall(kCreateRuleset, nullptr, 0, kAskVersion);
  if (abi <= 0) return 0;
  return abi > kNewestLandlockAbi ? kNewestLandlockAbi : static_cast<int>(abi);
}

int EnterLandlock() {
  const int abi = LandlockAbi();
  if (abi == 0) return 0;
  Ruleset rules{FileRights(abi), abi >= 4 ? 3U : 0U, abi >= 6 ? 3U : 0U};
  // Older kernels take the longer form as long as what they do not know is 0.
  const int ruleset = static_cast<int>(syscall(kCreateRuleset, &rules, sizeof rules, 0));
  if (ruleset < 0) return -1;
  bool done = true;
  for (const Shown& shown : kShown) done = done && Allow(ruleset, shown, FileRights(abi));
  done = done && AllowGranted(ruleset, "/dev", FileRights(abi), 3);
  done = done && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(kRestrictSelf, ruleset, 0) == 0;
  const int error = errno;
  close(ruleset);
  errno = error;
  if (!done) return -1;
  if (Holds()) return abi;
  errno = ENOTRECOVERABLE;
  return -1;
}

}  // namespace auspex::unit_init
