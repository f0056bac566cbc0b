// SPDX-License-Identifier: AGPL-3.0-only
#include "common/harden/private_view.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <map>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"

namespace auspex {
namespace {

// Where the new root is put together. It exists on every host that this works on, and is copied
// before it is covered.
constexpr char kRoot[] = "/proc";
constexpr char kScratchOptions[] = "mode=0755,size=16m";
constexpr const char* kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};

// Root's number inside. As number 0 it could not be given to a sandbox's user without a capability,
// and programs would take themselves for more than they are.
constexpr unsigned kInnerRoot = 1;

enum class Kind { kReadOnly, kReadWrite, kCovered, kScratch };

// One thing of the new root: where it stands and, unless it is an empty folder, the copy of the
// mount that goes there.
struct Piece {
  Kind kind = Kind::kReadOnly;
  UniqueFd mount;
  bool folder = true;
};

struct Plan {
  std::map<std::string, Piece> pieces;       // by path; a folder comes before what is inside it
  std::map<std::string, std::string> links;  // place -> what it leads to
};

absl::Status WriteOnce(const char* path, const std::string& text) {
  const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return ErrnoStatus(errno, "write", path);
  }
  return absl::OkStatus();
}

absl::Status EnterNamespaces(bool host_network) {
  const uid_t uid = ::geteuid(), inner_uid = uid == 0 ? kInnerRoot : uid;
  const gid_t gid = ::getegid(), inner_gid = gid == 0 ? kInnerRoot : gid;
  const int network = host_network ? 0 : CLONE_NEWNET;
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | network) != 0) {
    return ErrnoStatus(errno, "make", "namespaces");
  }
  RETURN_IF_ERROR(WriteOnce("/proc/self/setgroups", "deny"));
  RETURN_IF_ERROR(WriteOnce("/proc/self/uid_map", Cat(inner_uid, " ", uid, " 1\n")));
  RETURN_IF_ERROR(WriteOnce("/proc/self/gid_map", Cat(inner_gid, " ", gid, " 1\n")));
  // What the host mounts and unmounts later shows here, and nothing of ours there.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    return ErrnoStatus(errno, "detach", "mounts");
  }
  return absl::OkStatus();
}

// What already shows `path`; nullptr: nothing.
const Piece* ShownBy(const Plan& plan, std::string path) {
  for (; !path.empty(); path.erase(path.rfind('/'))) {
    if (const auto found = plan.pieces.find(path); found != plan.pieces.end())
      return &found->second;
  }
  return nullptr;
}

absl::Status Add(Plan& plan, const std::string& path, Kind kind) {
  char resolved[PATH_MAX];
  if (::realpath(path.c_str(), resolved) == nullptr) {
    if (errno == ENOENT || errno == ENOTDIR || errno == EACCES) return absl::OkStatus();
    return ErrnoStatus(errno, "resolve", path);
  }
  if (path != resolved) plan.links[path] = resolved;
  struct stat info {};
  if (::stat(resolved, &info) != 0) return ErrnoStatus(errno, "look at", path);
  Piece piece{kind, UniqueFd(), S_ISDIR(info.st_mode)};
  if (kind == Kind::kReadOnly || kind == Kind::kReadWrite) {
    piece.mount.Reset(
        ::open_tree(AT_FDCWD, resolved, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
    if (!piece.mount) return ErrnoStatus(errno, "copy the mount of", path);
    if (kind == Kind::kReadOnly) {
      mount_attr attributes{};
      attributes.attr_set = MOUNT_ATTR_RDONLY;
      if (::mount_setattr(piece.mount.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                          sizeof attributes) != 0) {
        return ErrnoStatus(errno, "make read-only", path);
      }
    }
  }
  plan.pieces[resolved] = std::move(piece);
  return absl::OkStatus();
}

absl::StatusOr<Plan> MakePlan(const ViewRules& rules) {
  Plan plan;
  // Not read-only: the kernel lets a sandbox mount a new /proc only where the present one is whole.
  RETURN_IF_ERROR(Add(plan, "/proc", Kind::kReadWrite));
  for (const std::string& path : rules.read_only) RETURN_IF_ERROR(Add(plan, path, Kind::kReadOnly));
  for (const std::string& path : rules.covered) RETURN_IF_ERROR(Add(plan, path, Kind::kCovered));
  for (const std::string& path : rules.read_write)
    RETURN_IF_ERROR(Add(plan, path, Kind::kReadWrite));
  // Programs that build sandboxes put their own roots together in /tmp.
  for (const char* folder : {"/tmp", "/dev"}) plan.pieces[folder] = Piece{Kind::kScratch, {}, true};
  for (const char* name : kDevices)
    RETURN_IF_ERROR(Add(plan, Cat("/dev/", name), Kind::kReadWrite));
  for (const std::string& name : rules.devices) {
    RETURN_IF_ERROR(Add(plan, Cat("/dev/", name), Kind::kReadWrite));
  }
  return plan;
}

absl::Status MakeParents(const std::string& place) {
  for (size_t at = place.find('/', 1); at != std::string::npos; at = place.find('/', at + 1)) {
    const std::string part = place.substr(0, at);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST && errno != EROFS) {
      return ErrnoStatus(errno, "make folder", part);
    }
  }
  return absl::OkStatus();
}

absl::Status Place(const std::string& path, const Piece& piece) {
  const std::string place = kRoot + path;
  struct stat info {};
  if (::stat(place.c_str(), &info) != 0) {
    RETURN_IF_ERROR(MakeParents(place));
    const UniqueFd file(piece.folder ? -1 : ::open(place.c_str(), O_CREAT | O_CLOEXEC, 0600));
    if (piece.folder ? ::mkdir(place.c_str(), 0755) != 0 : !file) {
      return ErrnoStatus(errno, "make the place of", path);
    }
  }
  const bool placed =
      piece.mount ? ::move_mount(piece.mount.get(), "", AT_FDCWD, place.c_str(),
                                 MOVE_MOUNT_F_EMPTY_PATH) == 0
                  : ::mount("tmpfs", place.c_str(), "tmpfs", MS_NOSUID, kScratchOptions) == 0;
  return placed ? absl::OkStatus() : ErrnoStatus(errno, "show", path);
}

absl::Status Seal(const std::string& place) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(AT_FDCWD, place.c_str(), 0, &attributes, sizeof attributes) != 0) {
    return ErrnoStatus(errno, "make read-only", place);
  }
  return absl::OkStatus();
}

absl::Status BuildRoot(Plan plan) {
  if (::mount("tmpfs", kRoot, "tmpfs", MS_NOSUID | MS_NODEV, kScratchOptions) != 0) {
    return ErrnoStatus(errno, "mount", "a new root");
  }
  std::vector<std::string> sealed = {kRoot, Cat(kRoot, "/dev")};
  for (const auto& [path, piece] : plan.pieces) {
    // Inside what is shown in the same way already: one mount less.
    const Piece* shown = ShownBy(plan, path.substr(0, path.rfind('/')));
    if (shown != nullptr && shown->kind == piece.kind && piece.kind != Kind::kScratch) continue;
    RETURN_IF_ERROR(Place(path, piece));
    if (piece.kind == Kind::kCovered) sealed.push_back(kRoot + path);
  }
  for (const auto& [place, target] : plan.links) {
    struct stat info {};
    const std::string link = kRoot + place;
    if (::lstat(link.c_str(), &info) == 0) continue;
    RETURN_IF_ERROR(MakeParents(link));
    if (::symlink(target.c_str(), link.c_str()) != 0 && errno != EROFS) {
      return ErrnoStatus(errno, "make link", place);
    }
  }
  for (const std::string& place : sealed) RETURN_IF_ERROR(Seal(place));
  // The old root ends below the new one, and is let go.
  if (::chdir(kRoot) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
      ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0) {
    return ErrnoStatus(errno, "change", "the root");
  }
  return absl::OkStatus();
}

absl::Status DropCapabilities() {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      return ErrnoStatus(errno, "drop", "the bounding set");
    }
  }
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return ErrnoStatus(errno, "clear", "ambient capabilities");
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return ErrnoStatus(errno, "drop", "capabilities");
  return absl::OkStatus();
}

absl::Status Enter(const ViewRules& rules) {
  RETURN_IF_ERROR(EnterNamespaces(rules.host_network));
  absl::StatusOr<Plan> plan = MakePlan(rules);
  if (!plan.ok()) return plan.status();
  RETURN_IF_ERROR(BuildRoot(*std::move(plan)));
  return DropCapabilities();
}

// Does all of it in a child, which ends: hosts differ in what they forbid, and half of a view would
// be worse than none.
absl::Status Rehearse(const ViewRules& rules) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "make", "a pipe");
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return ErrnoStatus(errno, "fork", "to try a private view");
  if (child == 0) {
    // No thread exists yet, so a child may do what its parent may.
    const absl::Status status = Enter(rules);
    const std::string cause(status.message());
    [[maybe_unused]] const ssize_t told = ::write(writer.get(), cause.data(), cause.size());
    ::_exit(status.ok() ? 0 : 1);
  }
  writer.Reset();
  char cause[512];
  const ssize_t got = ::read(reader.get(), cause, sizeof cause);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::UnimplementedError(
      Cat("private view: ",
          got > 0 ? std::string_view(cause, static_cast<size_t>(got)) : "the attempt ended early"));
}

}  // namespace

absl::Status EnterPrivateView(const ViewRules& rules) {
  RETURN_IF_ERROR(Rehearse(rules));
  return Enter(rules);
}

}  // namespace auspex
