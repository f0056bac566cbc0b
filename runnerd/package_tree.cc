// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/package_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"
#include "common/wire/manifest.h"

namespace auspex::runnerd {
namespace {

absl::Status Unsafe(const std::string& path, std::string_view why) {
  return absl::InvalidArgumentError(Cat("package: member '", Printable(path, 120), "' ", why));
}

std::string Changeable(const std::string& path, const struct stat& info) {
  const auto says = [&path](std::string_view what, std::string_view remedy) {
    return Cat(path.empty() ? "its folder" : Cat("member '", Printable(path, 120), "'"), " ", what,
               ", who could change it after it was checked: run ", remedy, " on the folder");
  };
  if (info.st_mode & S_IWOTH) return says("may be written to by everybody", "chmod -R go-w");
  if (info.st_mode & S_IWGRP)
    return says(Cat("may be written to by group ", info.st_gid), "chmod -R go-w");
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    // In a view, which does not map root, he is one of those who cannot be told apart.
    constexpr uid_t kUnmapped = 65534;
    return says(info.st_uid == kUnmapped ? "belongs to root or another user"
                                         : Cat("belongs to user ", info.st_uid),
                "chown -R");
  }
  return "";
}

class Lister {
 public:
  explicit Lister(const UnpackLimits& limits) : limits_(limits) {}

  absl::Status List(UniqueFd folder, const std::string& prefix) {
    std::unique_ptr<DIR, int (*)(DIR*)> list(fdopendir(folder.get()), closedir);
    if (list == nullptr) return ErrnoStatus(errno, "list", prefix);
    const int fd = folder.Release();  // list owns it now
    // Sorted, so that the fingerprint does not depend on the file system's order.
    std::vector<std::string> names;
    while (const dirent* entry = readdir(list.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (names.size() > limits_.members) return Unsafe(prefix, "has too many members");
      names.emplace_back(name);
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) RETURN_IF_ERROR(Take(fd, prefix, name));
    return absl::OkStatus();
  }

  PackageTree Finish() {
    tree_.fingerprint = HexEncode(identity_.Finish());
    return std::move(tree_);
  }

  void Note(const std::string& path, const struct stat& info) {
    if (tree_.changeable.empty()) tree_.changeable = Changeable(path, info);
    tree_.disk_octets +=
        static_cast<uint64_t>(std::max<int64_t>(info.st_size, int64_t{info.st_blocks} * 512));
    identity_.Update(Cat(path, '\0', info.st_dev, ' ', info.st_ino, ' ', info.st_mode, ' ',
                         info.st_uid, ' ', info.st_size, ' ', info.st_mtim.tv_sec, '.',
                         info.st_mtim.tv_nsec, ' ', info.st_ctim.tv_sec, '.', info.st_ctim.tv_nsec,
                         '\n'));
  }

 private:
  absl::Status Take(int folder, const std::string& prefix, const std::string& name) {
    const std::string path = prefix.empty() ? name : Cat(prefix, "/", name);
    struct stat info;
    if (fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return ErrnoStatus(errno, "look at", path);
    if (std::string why = CheckMemberPath(path, limits_); !why.empty()) return Unsafe(path, why);
    if (++members_ > limits_.members) return Unsafe(path, "is one too many");
    Note(path, info);
    if (S_ISDIR(info.st_mode)) {
      tree_.folders.push_back(path);
      UniqueFd inner(openat(folder, name.c_str(), O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC));
      if (!inner) return ErrnoStatus(errno, "open", path);
      const size_t files_before = tree_.files.size();
      RETURN_IF_ERROR(List(std::move(inner), path));
      // A program can tell whether a folder is there: Python imports one as a package.
      if (tree_.files.size() == files_before)
        return Unsafe(path, "is a folder without a file, which the package digest does not cover");
      return absl::OkStatus();
    }
    if (!S_ISREG(info.st_mode)) return Unsafe(path, "is no regular file or folder");
    if (info.st_nlink > 1) return Unsafe(path, "has another name elsewhere (a hard link)");
    if ((info.st_mode & 07000) != 0) return Unsafe(path, "has a set-id or sticky mode");
    octets_ += static_cast<uint64_t>(info.st_size);
    if (octets_ > limits_.unpacked_octets) return Unsafe(path, "makes the package too large");
    tree_.files.push_back({path, info});
    return absl::OkStatus();
  }

  const UnpackLimits& limits_;
  PackageTree tree_;
  Sha256Stream identity_;
  uint64_t members_ = 0, octets_ = 0;
};

// Attributes that a program can read or that change what the file may do. Others (labels, access
// lists) are this host's own.
absl::Status CheckAttributes(int fd, const std::string& path) {
  char names[4096];
  const ssize_t size = flistxattr(fd, names, sizeof names);
  if (size < 0) {
    return errno == ENOTSUP  ? absl::OkStatus()
           : errno == ERANGE ? Unsafe(path, "has too many extended attributes")
                             : ErrnoStatus(errno, "list attributes", path);
  }
  for (const char* name = names; name < names + size; name += strlen(name) + 1) {
    const std::string_view attribute = name;
    if (attribute.starts_with("user.") || attribute == "security.capability") {
      return Unsafe(path, Cat("has the extended attribute ", Printable(attribute, 60),
                              ", which the package digest does not cover"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> HashFile(int folder, const PackageTree::File& file) {
  const UniqueFd fd = OpenInPackage(folder, file.path);
  if (!fd) return ErrnoStatus(errno, "open", file.path);
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "look at", file.path);
  if (info.st_ino != file.info.st_ino || info.st_dev != file.info.st_dev ||
      info.st_size != file.info.st_size) {
    return absl::FailedPreconditionError(
        Cat("package: '", Printable(file.path, 120), "' changed while it was checked"));
  }
  RETURN_IF_ERROR(CheckAttributes(fd.get(), file.path));
  Sha256Stream hash;
  char buffer[64 * 1024];
  // The size was bounded by the listing; a file that grows meanwhile is read no further.
  uint64_t left = static_cast<uint64_t>(info.st_size);
  while (left > 0) {
    ssize_t n = read(fd.get(), buffer, std::min<uint64_t>(left, sizeof buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "read", file.path);
    if (n == 0) break;
    hash.Update(std::string_view(buffer, static_cast<size_t>(n)));
    left -= static_cast<uint64_t>(n);
  }
  return HexEncode(hash.Finish());
}

}  // namespace

absl::StatusOr<UniqueFd> OpenPackage(const std::string& path) {
  UniqueFd folder(open(path.c_str(), O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC));
  if (!folder) return ErrnoStatus(errno, "open", path);
  return folder;
}

UniqueFd OpenInPackage(int folder, const std::string& path) {
  // One component after the other. openat2 would do it in one call, but where a service may make no set-id files (RestrictSUIDSGID=, as
  // in our unit) systemd answers it with ENOSYS, since a filter cannot read its argument.
  std::vector<std::string> names;
  bool beneath = !path.starts_with('/');
  for (size_t begin = 0, end = 0; begin < path.size(); begin = end + 1) {
    end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    if (name == "..") beneath = false;
    if (!name.empty() && name != ".") names.push_back(name);
  }
  if (!beneath) {
    errno = EXDEV;
    return UniqueFd();
  }
  if (names.empty()) names.emplace_back(".");
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  UniqueFd parent;
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    UniqueFd next(openat(parent ? parent.get() : folder, names[i].c_str(), kFlags | O_DIRECTORY));
    if (!next) return next;
    parent = std::move(next);
  }
  return UniqueFd(openat(parent ? parent.get() : folder, names.back().c_str(), kFlags));
}

absl::StatusOr<std::string> ReadInPackage(int folder, const std::string& path,
                                          uint64_t max_octets) {
  const UniqueFd fd = OpenInPackage(folder, path);
  struct stat info;
  if (!fd || fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "open", path);
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(Cat(path, " is no regular file"));
  std::string content;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "read", path);
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
    if (content.size() > max_octets)
      return absl::ResourceExhaustedError(Cat(path, " has more than ", max_octets, " octets"));
  }
}

absl::StatusOr<PackageTree> ListPackage(int folder, const UnpackLimits& limits) {
  // Opened anew: a descriptor that is listed has a position.
  UniqueFd root(openat(folder, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  if (!root) return ErrnoStatus(errno, "open", "package");
  struct stat info;
  if (fstat(root.get(), &info) != 0) return ErrnoStatus(errno, "look at", "package");
  Lister lister(limits);
  lister.Note("", info);
  RETURN_IF_ERROR(lister.List(std::move(root), ""));
  return lister.Finish();
}

absl::StatusOr<Sha256Hex> DigestPackage(int folder, const PackageTree& tree) {
  std::map<std::string, std::string> sha256_by_path;
  for (const PackageTree::File& file : tree.files) {
    ASSIGN_OR_RETURN(sha256_by_path[file.path], HashFile(folder, file));
  }
  return PackageDigest(sha256_by_path);
}

}  // namespace auspex::runnerd
