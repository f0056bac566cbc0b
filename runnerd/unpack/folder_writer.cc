// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/unpack/folder_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace auspex::runnerd {
namespace {

using Outcome = UnpackResult::Outcome;

// Components of a path that CheckMemberPath accepted; "." components drop out.
std::vector<std::string> Split(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return parts;
}

}  // namespace

bool FolderWriter::Stop(Outcome outcome, std::string why) {
  result_.outcome = outcome;
  result_.why = std::move(why);
  return false;
}

bool FolderWriter::Unsafe(std::string_view why) {
  return Stop(Outcome::kUnsafe, "member " + ShownMember(path_) + " " + std::string(why));
}

bool FolderWriter::HostFailed(std::string_view what) {
  return Stop(Outcome::kFailed,
              std::string(what) + " " + ShownMember(path_) + ": " + strerror(errno));
}

bool FolderWriter::Begin(std::string_view untrusted_path, uint64_t octets) {
  if (result_.outcome != Outcome::kOk) return false;
  path_ = untrusted_path.substr(0, limits_.path_octets + 1);
  if (file_) return Unsafe("begins within another");
  if (++result_.members > limits_.members) return Stop(Outcome::kUnsafe, TooManyMembers(limits_));
  if (std::string why = CheckMemberPath(untrusted_path, limits_); !why.empty()) return Unsafe(why);
  if (octets > limits_.unpacked_octets - result_.octets)
    return Stop(Outcome::kUnsafe, TooManyOctets(limits_));
  result_.octets += octets;
  const std::vector<std::string> parts = Split(untrusted_path);
  if (parts.empty()) return Unsafe("has no name");
  // Coordinators append these two to the archive that the tenant uploaded, which may have them
  // already. The manifest's hash decides whether the last one is the right one.
  if (parts.size() == 1 && (parts[0] == "manifest.json" || parts[0] == "manifest.json.sig") &&
      unlinkat(target_, parts[0].c_str(), 0) != 0 && errno != ENOENT && errno != EISDIR) {
    return HostFailed("replace");
  }
  if (!OpenParent(parts)) return false;
  file_.Reset(openat(parent_ ? parent_.get() : target_, parts.back().c_str(),
                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file_) return errno == EEXIST ? Unsafe("comes twice") : HostFailed("create");
  left_ = octets;
  return true;
}

bool FolderWriter::OpenParent(const std::vector<std::string>& parts) {
  parent_.Reset();
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const int folder = parent_ ? parent_.get() : target_;
    if (mkdirat(folder, parts[i].c_str(), 0755) == 0) {
      if (++result_.members > limits_.members)
        return Stop(Outcome::kUnsafe, TooManyMembers(limits_));
    } else if (errno != EEXIST) {
      return HostFailed("mkdir");
    }
    UniqueFd next(
        openat(folder, parts[i].c_str(), O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC));
    if (!next) {
      return errno == ENOTDIR || errno == ELOOP ? Unsafe("uses a file as a folder")
                                                : HostFailed("open");
    }
    parent_ = std::move(next);
  }
  return true;
}

bool FolderWriter::Write(std::string_view piece) {
  if (result_.outcome != Outcome::kOk) return false;
  if (!file_ || piece.size() > left_) return Unsafe("has more octets than were announced");
  left_ -= piece.size();
  while (!piece.empty()) {
    const ssize_t n = write(file_.get(), piece.data(), piece.size());
    if (n < 0 && errno != EINTR) return HostFailed("write");
    if (n > 0) piece.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool FolderWriter::End() {
  if (result_.outcome != Outcome::kOk) return false;
  if (!file_ || left_ > 0) return Unsafe("has fewer octets than were announced");
  if (fchmod(file_.get(), 0444) != 0) return HostFailed("chmod");
  if (close(file_.Release()) != 0) return HostFailed("close");
  return true;
}

}  // namespace auspex::runnerd
