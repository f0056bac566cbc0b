// SPDX-License-Identifier: AGPL-3.0-only
// TarReader: a strict reader of the tar kinds that package tools write (ustar, pax, GNU long
// names), for archives that nobody trusts. It knows regular files and folders and names every other
// kind of member; numbers and sizes are bounded. Reads through a callback, holds at most a header
// and 64 KiB. One thread.
#ifndef AUSPEX_RUNNERD_UNPACK_TAR_READER_H_
#define AUSPEX_RUNNERD_UNPACK_TAR_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace auspex::runnerd {

class TarReader {
 public:
  // Fills up to `size` octets; 0 at the end, a negative number on an error that the source keeps.
  using Source = std::function<int64_t(char* buffer, size_t size)>;
  explicit TarReader(Source source) : source_(std::move(source)) {}

  enum class Kind { kFile, kFolder, kForbidden };
  struct Member {
    std::string path;  // as written, without a trailing '/'
    Kind kind = Kind::kFile;
    char type = '0';            // the archive's letter, for messages
    bool special_mode = false;  // set-user-id, set-group-id or sticky bit
    uint64_t size = 0;
  };
  enum class Next { kMember, kEnd, kError };
  // The next member; its content must be read with Read before the next call (what is left is
  // skipped).
  Next ReadMember(Member& member);
  // Content of the present member; 0 at its end, negative on an error.
  int64_t Read(char* buffer, size_t size);
  // Why the last call said kError, in words.
  const std::string& error() const { return error_; }

 private:
  bool ReadExactly(char* buffer, size_t size, bool& clean_end);
  bool SkipContent();
  bool ReadText(uint64_t size, std::string& text);
  // `global`: a header for all later members; one that would name or size them is refused, since
  // readers differ in what they make of it.
  bool ParsePax(std::string_view text, bool global);
  Next Fail(std::string why);

  Source source_;
  std::string error_;
  uint64_t left_ = 0, padding_ = 0;
  std::string long_name_;  // of the next member
  bool sparse_ = false;    // the next member's content is a map and pieces
  bool has_size_ = false;  // pax size of the next member
  uint64_t pax_size_ = 0;
  int extras_ = 0;  // extension headers in a row
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_UNPACK_TAR_READER_H_
