// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/hardening.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <utility>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/sanitized.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/log/log.h"
#include "keyd/secret_memory.h"
#include "keyd/syscalls.h"

namespace auspex::keyd {
namespace {

constexpr char kConfigKey[] = "keyd.accept_missing_hardening";

absl::Status Missing(std::string cause) { return absl::UnavailableError(std::move(cause)); }

// The flags that the kernel keeps for the mapping of `address`: "lo" locked, "dd" not dumped; and "secretmem" when it is of
// memfd_secret, whose pages are never swapped: Linux 6.1 does not show those as locked, later kernels do.
absl::StatusOr<std::string> FlagsOf(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  if (!maps) return Missing("cannot be verified: /proc/self/smaps cannot be read");
  const auto at = reinterpret_cast<unsigned long>(address);
  bool inside = false;
  std::string kind;
  for (std::string line; std::getline(maps, line);) {
    unsigned long low = 0, high = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &low, &high) == 2) {
      inside = low <= at && at < high;
      kind = line.find(" /secretmem") == std::string::npos ? " " : " secretmem ";
    } else if (inside && line.rfind("VmFlags:", 0) == 0) {
      return line + kind;
    }
  }
  return Missing("cannot be verified: /proc/self/smaps does not show the page");
}

struct KeyPages {
  absl::Status locked, undumped;
  std::string how;
};

// Looks at a page of the kind that the key will lie in.
KeyPages LookAtKeyPages() {
  KeyPages found;
  absl::StatusOr<SecretMemory> page = SecretMemory::Create(32);
  if (!page.ok()) {
    found.locked = found.undumped = page.status();
    // With the lock given up, the other property can still hold.
    SecretMemory::AcceptUnlocked();
    page = SecretMemory::Create(32);
    if (!page.ok()) return found;
  }
  const absl::StatusOr<std::string> flags = FlagsOf(page->octets().data());
  if (!flags.ok()) {
    if (found.locked.ok()) found.locked = flags.status();
    found.undumped = flags.status();
    return found;
  }
  if (found.locked.ok() && flags->find(" lo ") == std::string::npos &&
      flags->find(" secretmem ") == std::string::npos) {
    found.locked = Missing("the kernel did not keep the lock");
  }
  found.undumped = flags->find(" dd ") == std::string::npos
                       ? Missing("the kernel did not keep the mark")
                       : absl::OkStatus();
  found.how = page->kind() == SecretMemory::Kind::kSecretFd
                  ? "memfd_secret: outside the kernel's own map too"
                  : "a locked page between guards (this kernel gives no memfd_secret; before "
                    "Linux 6.5 it takes secretmem.enable=1 at boot)";
  return found;
}

absl::Status NoDump() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return ErrnoStatus(errno, "clear", "dumpable");
  return ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? absl::OkStatus()
                                                   : Missing("the kernel did not keep the setting");
}

absl::Status NoCore() {
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return ErrnoStatus(errno, "limit", "core files");
  rlimit now{1, 1};
  return ::getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_cur == 0 && now.rlim_max == 0
             ? absl::OkStatus()
             : Missing("the kernel did not keep the limit");
}

absl::Status FilesShut(const FileRules& rules) {
  RETURN_IF_ERROR(RestrictFiles(rules));
  // Its entries are everybody's to read, so only a rule can be what refuses.
  const UniqueFd tried(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return !tried && errno == EACCES ? absl::OkStatus()
                                   : Missing("the root folder could still be listed");
}

}  // namespace

const std::vector<std::string>& Hardening::Words() {
  static const std::vector<std::string> words = {
      "locked-memory",     "undumped-key-pages", "no-dump",  "core-limit", "no-new-privileges",
      "only-unix-sockets", "deny-exec",          "landlock", "seccomp"};
  return words;
}

absl::Status Hardening::Accept(const std::vector<std::string>& accepted) {
  for (const std::string& word : accepted) {
    if (std::find(Words().begin(), Words().end(), word) == Words().end()) {
      std::string known;
      for (const std::string& name : Words()) known += (known.empty() ? "" : ", ") + name;
      return absl::InvalidArgumentError(
          Cat(kConfigKey, ": '", word, "' is no layer; there are ", known));
    }
    accepted_.insert(word);
  }
  return absl::OkStatus();
}

absl::Status Hardening::Note(std::string_view name, const absl::Status& status,
                             std::string verified) {
  Layer layer;
  layer.name = name;
  layer.in_force = status.ok();
  layer.accepted_missing = !status.ok() && accepted_.contains(name);
  layer.detail = status.ok() ? std::move(verified) : std::string(status.message());
  const bool go_on = layer.in_force || layer.accepted_missing;
  const std::string cause = layer.detail;
  {
    const std::lock_guard lock(mutex_);
    layers_.push_back(std::move(layer));
  }
  if (status.ok()) return absl::OkStatus();
  if (!go_on) {
    return absl::FailedPreconditionError(
        Cat("hardening ", name, ": ", cause,
            ". keyd does not run without it; if this machine cannot "
            "have it, accept that in so many words: ",
            kConfigKey, " = [\"", name, "\"]"));
  }
  LogWarning("hardening_missing", {{"layer", name}, {"cause", cause}});
  return absl::OkStatus();
}

absl::Status Hardening::BeforeTheKey(const FileRules& rules) {
  const KeyPages pages = LookAtKeyPages();
  RETURN_IF_ERROR(Note("locked-memory", pages.locked, pages.how));
  RETURN_IF_ERROR(Note("undumped-key-pages", pages.undumped, "the kernel marks them so"));
  RETURN_IF_ERROR(Note("no-dump", NoDump(), "not dumpable, so no other process may trace it"));
  RETURN_IF_ERROR(Note("core-limit", NoCore(), "soft and hard limit 0"));
  RETURN_IF_ERROR(Note("no-new-privileges", NoNewPrivileges(), "read back"));
  RETURN_IF_ERROR(Note("only-unix-sockets", OnlyUnixSockets(), "an Internet socket was refused"));
  RETURN_IF_ERROR(Note("deny-exec", DenyExec(), "starting a program was refused"));
  return Note("landlock", FilesShut(rules), "listing the root folder was refused");
}

absl::Status Hardening::WhenServing() {
  if (kSanitized) {
    accepted_.insert("seccomp");
    return Note("seccomp", Missing("this build has a sanitizer, which makes calls of its own"), "");
  }
  return Note("seccomp", KeepOnly(KeydCalls()),
              Cat(KeydCalls().allowed.size(), " rules for all threads; anything else kills keyd"));
}

std::vector<Hardening::Layer> Hardening::layers() const {
  const std::lock_guard lock(mutex_);
  return layers_;
}

}  // namespace auspex::keyd
