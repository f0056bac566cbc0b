// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/unpack/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "common/json/utf8.h"
#include "runnerd/unpack/gzip_source.h"
#include "runnerd/unpack/tar_reader.h"

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

// A name for messages: printable ASCII, at most 120 characters.
std::string Shown(std::string_view text) {
  std::string out = "'";
  for (char c : text.substr(0, 120)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return out + "'";
}

// Characters that reorder or end a line wherever the name is shown: controls of both sets, the marks
// of writing direction, line separators, the byte order mark, tags.
bool ChangesHowTextIsShown(uint32_t c) {
  return (c >= 0x80 && c < 0xa0) || c == 0x61c || c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
         (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

// Why these cannot be the characters of a name; empty when they can.
std::string CheckCharacters(std::string_view part) {
  while (!part.empty()) {
    const Utf8Character character = DecodeUtf8(part);
    if (character.length == 0) return "has a name that is not UTF-8";
    // They could break the digest's lines apart.
    if (character.code_point < 0x20 || character.code_point == 0x7f)
      return "has a control character in its name";
    if (ChangesHowTextIsShown(character.code_point))
      return "has an invisible or direction-changing character in its name";
    part.remove_prefix(character.length);
  }
  return "";
}

class Unpacker {
 public:
  Unpacker(int archive_fd, int target_fd, const UnpackLimits& limits)
      : limits_(limits),
        target_(target_fd),
        source_(archive_fd, limits),
        tar_([this](char* buffer, size_t size) { return source_.Read(buffer, size); }) {}

  UnpackResult Run() {
    TarReader::Member member;
    for (;;) {
      switch (tar_.ReadMember(member)) {
        case TarReader::Next::kEnd:
          return std::move(result_);
        case TarReader::Next::kError:
          return Unreadable();
        case TarReader::Next::kMember:
          break;
      }
      if (!TakeMember(member)) return std::move(result_);
    }
  }

 private:
  bool Stop(Outcome outcome, std::string why) {
    result_.outcome = outcome;
    result_.why = std::move(why);
    return false;
  }
  bool Unsafe(const TarReader::Member& member, std::string_view why) {
    return Stop(Outcome::kUnsafe, "member " + Shown(member.path) + " " + std::string(why));
  }
  bool HostFailed(std::string_view what, std::string_view path) {
    return Stop(Outcome::kFailed, std::string(what) + " " + Shown(path) + ": " + strerror(errno));
  }
  // The compressed stream's own trouble says more than the tar reader's.
  UnpackResult Unreadable() {
    if (source_.outcome() != Outcome::kOk) {
      Stop(source_.outcome(), source_.error());
    } else {
      Stop(Outcome::kUnreadable, "the archive " + tar_.error());
    }
    return std::move(result_);
  }

  bool TakeMember(const TarReader::Member& member) {
    if (++result_.members > limits_.members) {
      return Stop(Outcome::kUnsafe,
                  "it has more than " + std::to_string(limits_.members) + " members");
    }
    if (member.kind == TarReader::Kind::kForbidden) {
      return Unsafe(member, std::string("is no regular file or folder (type '") +
                                (isalnum(member.type) ? member.type : '?') + "')");
    }
    if (std::string why = CheckMemberPath(member.path, limits_); !why.empty())
      return Unsafe(member, why);
    if (member.kind == TarReader::Kind::kFile && member.special_mode)
      return Unsafe(member, "has a set-id or sticky mode");
    result_.octets += member.size;
    if (result_.octets > limits_.unpacked_octets) {
      return Stop(Outcome::kUnsafe,
                  "it unpacks to more than " + std::to_string(limits_.unpacked_octets) + " octets");
    }
    const std::vector<std::string> parts = Split(member.path);
    // Folders come with their first file: the digest knows files alone, so an empty one would be
    // something that nothing vouches for.
    if (member.kind == TarReader::Kind::kFolder) return true;
    if (parts.empty()) return Unsafe(member, "has no name");
    if (parts.size() == 1 && !ForgetAppended(parts[0])) return HostFailed("replace", parts[0]);
    int folder = OpenFolder(parts, parts.size() - 1, member);
    if (folder < 0) return false;
    bool ok = WriteFile(folder, parts.back(), member);
    if (folder != target_) close(folder);
    return ok;
  }

  // Coordinators append these two to the archive that the tenant uploaded, which may have them
  // already: the last one counts. The manifest's hash decides whether that is the right one.
  bool ForgetAppended(const std::string& name) {
    if (name != "manifest.json" && name != "manifest.json.sig") return true;
    return unlinkat(target_, name.c_str(), 0) == 0 || errno == ENOENT || errno == EISDIR;
  }

  // Opens (and makes) the first `count` components; target_ itself for none. Negative on failure.
  int OpenFolder(const std::vector<std::string>& parts, size_t count,
                 const TarReader::Member& member) {
    int folder = target_;
    for (size_t i = 0; i < count; ++i) {
      if (mkdirat(folder, parts[i].c_str(), 0755) != 0 && errno != EEXIST) {
        HostFailed("mkdir", member.path);
        if (folder != target_) close(folder);
        return -1;
      }
      int next = openat(folder, parts[i].c_str(), O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC);
      const int error = errno;
      if (folder != target_) close(folder);
      if (next < 0) {
        errno = error;
        error == ENOTDIR || error == ELOOP ? Unsafe(member, "uses a file as a folder")
                                           : HostFailed("open", member.path);
        return -1;
      }
      folder = next;
    }
    return folder;
  }

  bool WriteFile(int folder, const std::string& name, const TarReader::Member& member) {
    int file =
        openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
      return errno == EEXIST ? Unsafe(member, "comes twice") : HostFailed("create", member.path);
    char buffer[64 * 1024];
    int64_t n;
    bool ok = true;
    uint64_t written = 0;
    while (ok && (n = tar_.Read(buffer, sizeof buffer)) != 0) {
      if (n < 0) {
        NoteUnreadable();
        ok = false;
        break;
      }
      for (int64_t at = 0; ok && at < n;) {
        ssize_t w = write(file, buffer + at, static_cast<size_t>(n - at));
        if (w < 0 && errno != EINTR) ok = HostFailed("write", member.path);
        if (w > 0) at += w;
      }
      written += static_cast<uint64_t>(n);
    }
    if (ok && written != member.size) ok = Stop(Outcome::kUnreadable, "the archive is cut off");
    if (ok && fchmod(file, 0444) != 0) ok = HostFailed("chmod", member.path);
    if (close(file) != 0 && ok) ok = HostFailed("close", member.path);
    return ok;
  }

  void NoteUnreadable() {
    Stop(source_.outcome() != Outcome::kOk ? source_.outcome() : Outcome::kUnreadable,
         source_.error().empty() ? "the archive is cut off" : source_.error());
  }

  const UnpackLimits& limits_;
  int target_;
  GzipSource source_;
  TarReader tar_;
  UnpackResult result_;
};

}  // namespace

std::string_view UnpackWord(UnpackResult::Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kUnreadable:
      return "unreadable";
    case Outcome::kUnsafe:
      return "unsafe";
    case Outcome::kFailed:
      return "failed";
  }
  return "failed";
}

std::string CheckMemberPath(std::string_view path, const UnpackLimits& limits) {
  if (path.empty()) return "has no name";
  if (path[0] == '/') return "is absolute";
  if (path.size() > limits.path_octets) return "has a path that is too long";
  size_t depth = 0;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part == "..") return "leaves the package";
    if (part.empty()) return "has an empty path component";
    if (part.size() > limits.component_octets) return "has a path component that is too long";
    if (std::string why = CheckCharacters(part); !why.empty()) return why;
    if (part == "__pycache__" || part.ends_with(".pyc")) {
      return "is compiled Python, which the package digest does not cover";
    }
    if (++depth > limits.depth) return "is nested too deeply";
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    if (slash != std::string_view::npos && path.empty()) return "has an empty path component";
  }
  return "";
}

UnpackResult Unpack(int archive_fd, int target_fd, const UnpackLimits& limits) {
  return Unpacker(archive_fd, target_fd, limits).Run();
}

}  // namespace auspex::runnerd
