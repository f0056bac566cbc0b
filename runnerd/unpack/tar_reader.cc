// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/unpack/tar_reader.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace auspex::runnerd {
namespace {

constexpr size_t kBlock = 512;
constexpr uint64_t kMaxExtension = 64 * 1024;
constexpr int kMaxExtensions = 8;
constexpr uint64_t kMaxSize = uint64_t{1} << 40;

// Octal digits up to a NUL or blank, or the GNU base-256 form. False when it is no number or too
// large.
bool ParseNumber(const char* field, size_t width, uint64_t& number) {
  number = 0;
  if ((field[0] & 0x80) != 0) {
    if (static_cast<unsigned char>(field[0]) != 0x80) return false;  // negative or absurd
    for (size_t i = 1; i < width; ++i) {
      if (number > kMaxSize) return false;
      number = number << 8 | static_cast<unsigned char>(field[i]);
    }
    return number <= kMaxSize;
  }
  size_t i = 0;
  while (i < width && field[i] == ' ') ++i;
  for (; i < width && field[i] >= '0' && field[i] <= '7'; ++i) {
    number = number << 3 | static_cast<uint64_t>(field[i] - '0');
    if (number > kMaxSize) return false;
  }
  return i == width || field[i] == 0 || field[i] == ' ';
}

bool ChecksumMatches(const char* header) {
  uint64_t stated;
  if (!ParseNumber(header + 148, 8, stated)) return false;
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(header[i]);
  }
  return sum == stated;
}

std::string Field(const char* field, size_t width) {
  return std::string(field, strnlen(field, width));
}

}  // namespace

TarReader::Next TarReader::Fail(std::string why) {
  error_ = std::move(why);
  return Next::kError;
}

bool TarReader::ReadExactly(char* buffer, size_t size, bool& clean_end) {
  clean_end = false;
  size_t have = 0;
  while (have < size) {
    int64_t n = source_(buffer + have, size - have);
    if (n <= 0) {
      clean_end = n == 0 && have == 0;
      return false;
    }
    have += static_cast<size_t>(n);
  }
  return true;
}

bool TarReader::SkipContent() {
  char buffer[16 * 1024];
  while (left_ + padding_ > 0) {
    uint64_t& part = left_ > 0 ? left_ : padding_;
    int64_t n = source_(buffer, std::min<uint64_t>(part, sizeof buffer));
    if (n <= 0) return false;
    part -= static_cast<uint64_t>(n);
  }
  return true;
}

bool TarReader::ReadText(uint64_t size, std::string& text) {
  if (size > kMaxExtension) return false;
  text.resize(size);
  bool clean;
  if (!ReadExactly(text.data(), size, clean) && size > 0) return false;
  left_ = 0;
  return SkipContent();
}

// Records "LENGTH KEY=VALUE\n". Only path and size matter; what would change the meaning of a file
// otherwise is refused by its type.
bool TarReader::ParsePax(std::string_view text, bool global) {
  while (!text.empty()) {
    size_t length = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    const size_t digits = static_cast<size_t>(end - text.data());
    if (error != std::errc() || length <= digits + 2 || length > text.size() ||
        text[digits] != ' ' || text[length - 1] != '\n') {
      return false;
    }
    const std::string_view record = text.substr(digits + 1, length - digits - 2);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (global && (key == "path" || key == "size" || key.starts_with("GNU."))) return false;
    if (key.starts_with("GNU.sparse.")) sparse_ = true;
    if (key == "path") long_name_ = value;
    if (key == "size") {
      auto [size_end, size_error] =
          std::from_chars(value.data(), value.data() + value.size(), pax_size_);
      if (size_error != std::errc() || size_end != value.data() + value.size() ||
          pax_size_ > kMaxSize)
        return false;
      has_size_ = true;
    }
    text.remove_prefix(length);
  }
  return true;
}

TarReader::Next TarReader::ReadMember(Member& member) {
  if (!SkipContent()) return Fail("ends inside a member");
  for (;;) {
    char header[kBlock];
    bool clean_end;
    if (!ReadExactly(header, kBlock, clean_end))
      return Fail(clean_end ? "ends without its end mark" : "is cut off");
    if (std::all_of(header, header + kBlock, [](char c) { return c == 0; })) {
      // The end mark is two such blocks; what follows is only padding and is read so that the
      // compression's own check is reached.
      char rest[kBlock];
      int64_t n;
      while ((n = source_(rest, sizeof rest)) > 0) {
        if (!std::all_of(rest, rest + n, [](char c) { return c == 0; }))
          return Fail("has content after its end mark");
      }
      return n == 0 ? Next::kEnd : Fail("is cut off");
    }
    uint64_t size, mode;
    if (!ChecksumMatches(header)) return Fail("has a header with a wrong checksum");
    if (!ParseNumber(header + 124, 12, size) || !ParseNumber(header + 100, 8, mode))
      return Fail("has a header with a bad number");
    char type = header[156] == 0 ? '0' : header[156];
    left_ = size;
    padding_ = (kBlock - size % kBlock) % kBlock;
    if (type == 'x' || type == 'g' || type == 'L') {
      std::string text;
      if (++extras_ > kMaxExtensions || !ReadText(size, text))
        return Fail("has an extension header that is too large or cut off");
      if (type != 'L' && !ParsePax(text, type == 'g')) return Fail("has a bad pax header");
      if (type == 'L') long_name_ = Field(text.data(), text.size());
      continue;
    }
    extras_ = 0;
    std::string name = Field(header, 100);
    const std::string prefix =
        memcmp(header + 257, "ustar\0", 6) == 0 ? Field(header + 345, 155) : "";
    if (!prefix.empty()) name = prefix + "/" + name;
    if (!long_name_.empty()) name = std::move(long_name_);
    long_name_.clear();
    if (has_size_) {
      left_ = size = pax_size_;
      padding_ = (kBlock - size % kBlock) % kBlock;
      has_size_ = false;
    }
    if (std::exchange(sparse_, false)) type = 'S';
    const bool folder = type == '5' || (type == '0' && name.ends_with('/'));
    member.kind = folder                       ? Kind::kFolder
                  : type == '0' || type == '7' ? Kind::kFile
                                               : Kind::kForbidden;
    if (folder) {
      while (name.size() > 1 && name.ends_with('/')) name.pop_back();
    }
    member.path = std::move(name);
    member.type = type;
    member.special_mode = (mode & 07000) != 0;
    member.size = size;
    return Next::kMember;
  }
}

int64_t TarReader::Read(char* buffer, size_t size) {
  if (left_ == 0) return 0;
  int64_t n = source_(buffer, std::min<uint64_t>(left_, size));
  if (n <= 0) return -1;
  left_ -= static_cast<uint64_t>(n);
  return n;
}

}  // namespace auspex::runnerd
