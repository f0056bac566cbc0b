// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/attestation.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/base/cat.h"
#include "runnerd/init/landlock.h"
#include "runnerd/init/protocol.h"

namespace auspex::runnerd {
namespace {

// Names as in the facts, and below /proc/self/ns.
struct Kind {
  const char* fact;
  const char* file;
  const char* layer;
};
constexpr Kind kKinds[] = {
    {"user", "user", "user-namespace"},     {"mnt", "mnt", "mount-namespace"},
    {"pid_ns", "pid", "process-namespace"}, {"net", "net", "network-namespace"},
    {"ipc", "ipc", "ipc-namespace"},        {"uts", "uts", "hostname"},
};

// The number of "NAME=NUMBER"; nullopt when the name is not there exactly once with a number.
std::optional<int64_t> Find(std::string_view facts, std::string_view name, int base = 10) {
  std::optional<int64_t> found;
  while (!facts.empty()) {
    const size_t end = facts.find(' ');
    const std::string_view word = facts.substr(0, end);
    facts.remove_prefix(end == std::string_view::npos ? facts.size() : end + 1);
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos || word.substr(0, equals) != name) continue;
    const std::string_view text = word.substr(equals + 1);
    int64_t number = 0;
    const auto [last, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (found || error != std::errc() || last != text.data() + text.size()) return std::nullopt;
    found = number;
  }
  return found;
}

absl::Status Missing(std::string_view layer) {
  return absl::FailedPreconditionError(
      Cat("layer ", layer, " is not in force in the unit's own sandbox"));
}

}  // namespace

Outside LookOutside() {
  Outside outside;
  for (const Kind& kind : kKinds) {
    struct stat info {};
    if (stat(Cat("/proc/self/ns/", kind.file).c_str(), &info) == 0)
      outside.namespaces.emplace(kind.fact, info.st_ino);
  }
  outside.landlock_abi = unit_init::LandlockAbi();
  return outside;
}

absl::Status JudgeFacts(std::string_view facts, const Outside& outside) {
  for (const Kind& kind : kKinds) {
    const auto ours = outside.namespaces.find(kind.fact);
    const std::optional<int64_t> theirs = Find(facts, kind.fact);
    if (ours == outside.namespaces.end() || !theirs || *theirs <= 0 ||
        static_cast<uint64_t>(*theirs) == ours->second) {
      return Missing(kind.layer);
    }
  }
  if (Find(facts, "pid") != 1) return Missing("process-namespace");
  if (Find(facts, "uid") != unit_init::kSandboxUid || Find(facts, "gid") != unit_init::kSandboxUid)
    return Missing("user-namespace");
  if (Find(facts, "caps", 16) != 0) return Missing("no-capabilities");
  if (Find(facts, "no_new_privs") != 1) return Missing("no-new-privileges");
  if (Find(facts, "seccomp") != 2) return Missing("seccomp");
  if (Find(facts, "landlock") != outside.landlock_abi) return Missing("landlock");
  return absl::OkStatus();
}

}  // namespace auspex::runnerd
