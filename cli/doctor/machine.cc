// SPDX-License-Identifier: AGPL-3.0-only
// What doctor can see without a daemon.
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "cli/doctor/check.h"
#include "cli/version.h"
#include "common/base/cat.h"

namespace auspex::cli {
namespace {

constexpr std::array<const char*, 4> kDaemons = {"keyd", "stated", "runnerd", "netd"};
// A state folder with more entries is looked at in part.
constexpr int kMostEntries = 20'000;
constexpr uint64_t kFewOctets = 1ull << 30, kTooFewOctets = 64ull << 20;
constexpr int kVersionMs = 5'000;
constexpr time_t kFirstSaneTime = 1'767'225'600;  // 2026-01-01

std::string InMib(uint64_t octets) { return Cat(octets >> 20, " MiB"); }

// Looks for paths that others may read or that belong to somebody else; keeps the first of each.
struct Walk {
  int entries = 0;
  bool unreadable = false;
  std::string exposed, foreign;

  void Look(const std::string& path, uid_t owner) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
      unreadable = unreadable || errno == EACCES;
      return;
    }
    ++entries;
    if (S_ISLNK(info.st_mode)) return;
    if ((info.st_mode & 077) != 0 && exposed.empty()) exposed = path;
    if (info.st_uid != owner && foreign.empty()) foreign = path;
  }
  // `all`: what is in the folder, too. runnerd shows parts of its folder to sandboxes, whose modes matter inside them only: there
  // the folder itself is what keeps others out.
  void Below(const std::string& folder, bool all) {
    struct stat info {};
    if (::lstat(folder.c_str(), &info) != 0) {
      unreadable = unreadable || errno == EACCES;
      return;
    }
    Look(folder, info.st_uid);
    if (!all) return;
    std::error_code error;
    std::filesystem::recursive_directory_iterator at(folder, error), end;
    if (error) unreadable = true;
    for (; !error && at != end && entries < kMostEntries; at.increment(error)) {
      Look(at->path().string(), info.st_uid);
    }
  }
};

// What `path --version` says; empty when it says nothing in time.
std::string VersionOf(const std::string& path) {
  const UniqueFd out(::memfd_create("version", MFD_CLOEXEC));
  ChildSpec spec;
  spec.program = path;
  spec.arguments = {"--version"};
  spec.stdout_fd = out.get();
  absl::StatusOr<Child> child = Child::Start(spec);
  if (!child.ok() || !child->WaitFor(kVersionMs)) return "";
  std::string text(200, '\0');
  const ssize_t n = ::pread(out.get(), text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind(' ') + 1);
}

}  // namespace

std::string_view HealthWord(Health health) {
  switch (health) {
    case Health::kOk:
      return "ok";
    case Health::kWarning:
      return "warn";
    case Health::kFailure:
      break;
  }
  return "fail";
}

void CheckConfiguration(const Session& session, Checks& checks) {
  // That it can be read was seen before any verb ran.
  std::string read;
  for (const std::string& file : session.layout.config_files()) {
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0) continue;
    read += Cat(read.empty() ? "" : ", ", Clean(file));
    if ((info.st_mode & 022) != 0) {
      checks.push_back({"configuration", Health::kFailure,
                        Cat(Clean(file), " can be written by other users"),
                        Cat("chmod go-w ", Clean(file))});
      return;
    }
  }
  checks.push_back({"configuration", Health::kOk,
                    read.empty() ? "no file: every setting has its default" : Cat("read ", read)});
  if (!session.config.use_bubblewrap) {
    checks.push_back({"configuration", Health::kWarning,
                      "sandbox.use_bubblewrap is off: only the built-in executor runs, and signs "
                      "as permissive",
                      "remove sandbox.use_bubblewrap"});
  }
}

void CheckSeparation(const Session& session, Checks& checks) {
  if (session.layout.mode() == Layout::Mode::kSystem) {
    checks.push_back({"separation", Health::kOk, "each daemon has a user of its own"});
    return;
  }
  const std::string who =
      ::geteuid() == 0
          ? "root runs all four daemons: root may trace any process and read any file, so nothing "
            "but the key's own page is kept from a daemon that was taken over"
          : "one user runs all four daemons. The keys of their sockets, Landlock, seccomp and "
            "no-dump "
            "keep them apart from each other; any other program of this user can open the owner's "
            "sockets and read the sealed key together with a local secret that seals it";
  checks.push_back({"separation", Health::kWarning, who,
                    "system mode, or a seal that this user cannot read at rest (a credential, a "
                    "passphrase, the Secret Service): auspex key seal --help"});
}

void CheckFiles(const Session& session, Checks& checks) {
  Walk walk;
  for (const std::string daemon : kDaemons) {
    walk.Below(session.layout.StateDir(daemon), daemon != "runnerd");
  }
  if (!walk.exposed.empty()) {
    checks.push_back({"files", Health::kFailure,
                      Cat(Clean(walk.exposed), " is open to other users"),
                      Cat("chmod -R go-rwx ", Clean(walk.exposed))});
  } else if (!walk.foreign.empty()) {
    checks.push_back({"files", Health::kFailure,
                      Cat(Clean(walk.foreign), " belongs to another user than its folder"),
                      "chown it back, and find out who made it"});
  } else if (walk.unreadable) {
    checks.push_back({"files", Health::kWarning, "this user cannot look into the state folders",
                      "look as root"});
  } else {
    checks.push_back({"files", Health::kOk,
                      Cat(walk.entries, " files and folders of state, all private",
                          walk.entries < kMostEntries ? "" : " (more were not looked at)")});
  }
}

void CheckDisk(const Session& session, Checks& checks) {
  std::string folder = session.layout.StateDir("keyd");
  struct statvfs room {};
  // The state folder may not exist yet; what will hold it does.
  while (::statvfs(folder.c_str(), &room) != 0 && folder.size() > 1) {
    folder = std::filesystem::path(folder).parent_path().string();
  }
  const uint64_t free = static_cast<uint64_t>(room.f_bavail) * room.f_frsize;
  const bool no_inodes = room.f_files > 0 && room.f_favail < 1000;
  const Health health = free < kTooFewOctets || no_inodes ? Health::kFailure
                        : free < kFewOctets               ? Health::kWarning
                                                          : Health::kOk;
  checks.push_back(
      {"disk", health,
       Cat(InMib(free), " free where the state is", no_inodes ? ", and no room for new files" : ""),
       health == Health::kOk ? ""
                             : "make room: nothing is signed or accepted that cannot be recorded"});
  const time_t now = std::time(nullptr);
  checks.push_back({"clock", now < kFirstSaneTime ? Health::kFailure : Health::kOk,
                    now < kFirstSaneTime ? "the clock is years behind" : "the date is plausible",
                    now < kFirstSaneTime ? "set the clock; the coordinator takes no signature of "
                                           "the past"
                                         : ""});
}

void CheckPrograms(Checks& checks) {
  std::string other;
  for (const char* daemon : kDaemons) {
    const absl::StatusOr<std::string> path = FindProgram(Cat("auspex-", daemon));
    if (!path.ok()) {
      checks.push_back({"programs", Health::kFailure, Clean(std::string(path.status().message())),
                        "install Auspex again"});
      return;
    }
    const std::string version = VersionOf(*path);
    if (version != kVersion) {
      other += Cat(other.empty() ? "" : ", ", "auspex-", daemon, " is ",
                   version.empty() ? std::string("of no version") : Clean(version));
    }
  }
  checks.push_back({"programs", other.empty() ? Health::kOk : Health::kFailure,
                    other.empty() ? Cat("the command and its daemons are ", kVersion)
                                  : Cat("the command is ", kVersion, ", ", other),
                    other.empty() ? "" : "install the whole release, and restart the daemons"});
}

}  // namespace auspex::cli
