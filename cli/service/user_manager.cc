// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/service/user_manager.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "cli/process/child.h"
#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/ids/ids.h"

namespace auspex::cli {
namespace {

// A job ends when its unit does; the daemons have 60 s to start and 20 s to stop.
constexpr int kPatienceMs = 180'000;
constexpr size_t kMostOutput = 1024 * 1024;

struct Ended {
  int code = -1;
  std::string out, err;
};

std::string Content(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return "";
  std::string text(std::min<size_t>(static_cast<size_t>(info.st_size), kMostOutput), '\0');
  const ssize_t got = pread(fd, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

absl::StatusOr<Ended> RunToEnd(const std::string& program, std::vector<std::string> arguments) {
  UniqueFd out(memfd_create("auspex-out", MFD_CLOEXEC)),
      err(memfd_create("auspex-err", MFD_CLOEXEC));
  if (!out || !err) return ErrnoStatus(errno, "memfd_create", program);
  ChildSpec spec;
  spec.program = program;
  spec.arguments = std::move(arguments);
  spec.environment = {{"SYSTEMD_PAGER", ""}, {"SYSTEMD_COLORS", "0"}, {"LC_ALL", "C.UTF-8"}};
  spec.stdout_fd = out.get();
  spec.stderr_fd = err.get();
  ASSIGN_OR_RETURN(Child child, Child::Start(spec));
  const std::optional<int> status = child.WaitFor(kPatienceMs);
  if (!status) {
    return absl::UnavailableError(
        Cat(program, " ", spec.arguments.back(), ": no end after ", kPatienceMs / 1000, " s"));
  }
  return Ended{ExitCode(*status), Content(out.get()), Content(err.get())};
}

// Debian's place, and NixOS's.
std::string ProgramOfSystemd(const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/bin/", "/run/current-system/sw/bin/"}) {
    const std::string path = folder + name;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

std::string Trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

// What a program said, on one line.
std::string Said(const Ended& ended) {
  std::string text = Trimmed(ended.err.empty() ? ended.out : ended.err);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return Printable(text, 400);
}

}  // namespace

absl::StatusOr<UserManager> UserManager::Find() {
  const std::string systemctl = ProgramOfSystemd("systemctl");
  if (systemctl.empty()) {
    return absl::FailedPreconditionError(
        "this machine has no systemd (systemctl is missing); run `auspex daemon` instead");
  }
  UserManager manager(systemctl);
  ASSIGN_OR_RETURN(const Ended ended,
                   RunToEnd(systemctl, {"--user", "show", "--property=Version", "--value"}));
  if (ended.code != 0) {
    return absl::FailedPreconditionError(
        Cat("this user has no service manager (", Said(ended),
            "). sudo and su start none: log in as the user, or let it run without a login: `sudo "
            "loginctl enable-linger USER`, then call this with XDG_RUNTIME_DIR=/run/user/",
            getuid()));
  }
  return manager;
}

absl::StatusOr<std::string> UserManager::Systemctl(std::vector<std::string> words) const {
  const std::string verb = words.empty() ? "" : words.front();
  words.insert(words.begin(), "--user");
  ASSIGN_OR_RETURN(Ended ended, RunToEnd(systemctl_, std::move(words)));
  if (ended.code != 0) {
    return absl::UnavailableError(
        Cat("systemctl --user ", verb, " ended with ", ended.code, ": ", Said(ended)));
  }
  return std::move(ended.out);
}

absl::StatusOr<std::map<std::string, UserManager::Properties>> UserManager::Show(
    const std::vector<std::string>& units, const std::vector<std::string>& properties) const {
  std::vector<std::string> words = {"show", "--property=Id"};
  for (const std::string& property : properties) words.push_back("--property=" + property);
  words.emplace_back("--");
  words.insert(words.end(), units.begin(), units.end());
  ASSIGN_OR_RETURN(const std::string text, Systemctl(std::move(words)));
  // Blocks of KEY=VALUE lines with an empty line between; the unit's name may stand anywhere in its block.
  std::map<std::string, Properties> shown;
  Properties block;
  size_t at = 0;
  while (at <= text.size()) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (const size_t equals = line.find('='); equals != std::string::npos) {
      block[line.substr(0, equals)] = line.substr(equals + 1);
    } else if (!block.empty()) {
      const std::string name = block["Id"];
      shown[name] = std::move(block);
      block.clear();
    }
  }
  return shown;
}

bool UserManager::Active(const std::string& unit) const {
  return Systemctl({"is-active", "--quiet", unit}).ok();
}

std::optional<bool> UserManager::Lingers() {
  const std::string loginctl = ProgramOfSystemd("loginctl");
  if (loginctl.empty()) return std::nullopt;
  const absl::StatusOr<Ended> ended =
      RunToEnd(loginctl, {"show-user", Cat(getuid()), "--property=Linger", "--value"});
  if (!ended.ok() || ended->code != 0) return std::nullopt;
  return Trimmed(ended->out) == "yes";
}

bool UserManager::SystemHas(const std::string& unit) {
  const std::string systemctl = ProgramOfSystemd("systemctl");
  if (systemctl.empty()) return false;
  for (const char* question : {"is-active", "is-enabled"}) {
    const absl::StatusOr<Ended> ended =
        RunToEnd(systemctl, {"--system", question, "--quiet", unit});
    if (ended.ok() && ended->code == 0) return true;
  }
  return false;
}

}  // namespace auspex::cli
