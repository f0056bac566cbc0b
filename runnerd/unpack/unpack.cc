// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/unpack/unpack.h"

#include <cctype>

#include "common/json/utf8.h"
#include "runnerd/unpack/gzip_source.h"
#include "runnerd/unpack/tar_reader.h"

namespace auspex::runnerd {
namespace {

using Outcome = UnpackResult::Outcome;

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
  Unpacker(int archive_fd, MemberSink& sink, const UnpackLimits& limits)
      : limits_(limits),
        sink_(sink),
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
    return Stop(Outcome::kUnsafe, "member " + ShownMember(member.path) + " " + std::string(why));
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
      return Stop(Outcome::kUnsafe, TooManyMembers(limits_));
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
      return Stop(Outcome::kUnsafe, TooManyOctets(limits_));
    }
    // Folders come with their first file: the digest knows files alone, so an empty one would be
    // something that nothing vouches for.
    return member.kind == TarReader::Kind::kFolder || HandOn(member);
  }

  bool HandOn(const TarReader::Member& member) {
    if (!sink_.Begin(member.path, member.size)) return SinkStopped();
    char buffer[64 * 1024];
    uint64_t handed = 0;
    while (const int64_t n = tar_.Read(buffer, sizeof buffer)) {
      if (n < 0) {
        NoteUnreadable();
        return false;
      }
      if (!sink_.Write(std::string_view(buffer, static_cast<size_t>(n)))) return SinkStopped();
      handed += static_cast<uint64_t>(n);
    }
    if (handed != member.size) return Stop(Outcome::kUnreadable, "the archive is cut off");
    return sink_.End() || SinkStopped();
  }

  bool SinkStopped() { return Stop(sink_.result().outcome, sink_.result().why); }

  void NoteUnreadable() {
    Stop(source_.outcome() != Outcome::kOk ? source_.outcome() : Outcome::kUnreadable,
         source_.error().empty() ? "the archive is cut off" : source_.error());
  }

  const UnpackLimits& limits_;
  MemberSink& sink_;
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

std::string ShownMember(std::string_view text) {
  std::string out = "'";
  for (char c : text.substr(0, 120)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return out + "'";
}

std::string TooManyMembers(const UnpackLimits& limits) {
  return "it has more than " + std::to_string(limits.members) + " members";
}

std::string TooManyOctets(const UnpackLimits& limits) {
  return "it unpacks to more than " + std::to_string(limits.unpacked_octets) + " octets";
}

UnpackResult Unpack(int archive_fd, MemberSink& sink, const UnpackLimits& limits) {
  return Unpacker(archive_fd, sink, limits).Run();
}

}  // namespace auspex::runnerd
