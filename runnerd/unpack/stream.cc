// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/unpack/stream.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace auspex::runnerd {
namespace {

using Outcome = UnpackResult::Outcome;

// The number at the start of `text` and the blank after it; false when that is not what is there.
bool TakeNumber(std::string_view& text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data() + text.size() || *end != ' ') return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  return true;
}

bool TakeWord(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word) || text.size() == word.size() || text[word.size()] != ' ')
    return false;
  text.remove_prefix(word.size() + 1);
  return true;
}

std::string Printable(std::string_view text) {
  std::string out(text.substr(0, 300));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return out;
}

}  // namespace

bool StreamSink::Begin(std::string_view path, uint64_t octets) {
  return Send("file " + std::to_string(octets) + " " + std::string(path) + "\n");
}

bool StreamSink::Write(std::string_view piece) {
  return piece.empty() || (Send("data " + std::to_string(piece.size()) + "\n") && Send(piece));
}

bool StreamSink::Send(std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t n = write(fd_, octets.data(), octets.size());
    if (n < 0 && errno != EINTR) {
      result_.outcome = Outcome::kFailed;
      result_.why = std::string("hand over: ") + strerror(errno);
      return false;
    }
    if (n > 0) octets.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool StreamSink::Finish(const UnpackResult& result) {
  return Send(std::string(UnpackWord(result.outcome)) + " " + std::to_string(result.members) + " " +
              std::to_string(result.octets) + " " + result.why + "\n");
}

bool UnpackStream::Stop(std::string why) {
  ended_ = true;
  result_ = {Outcome::kUnsafe, std::move(why), 0, 0};
  return false;
}

bool UnpackStream::Take(std::string_view piece) {
  while (!piece.empty()) {
    if (ended_) return Stop("the unpacker says more after its end");
    if (data_left_ > 0) {
      const std::string_view part =
          piece.substr(0, static_cast<size_t>(std::min<uint64_t>(data_left_, piece.size())));
      if (!writer_.Write(part)) return false;
      data_left_ -= part.size();
      file_left_ -= part.size();
      piece.remove_prefix(part.size());
      if (file_left_ == 0 && !writer_.End()) return false;
      continue;
    }
    const size_t end = piece.find('\n');
    line_ += piece.substr(0, end);
    if (line_.size() > longest_line_) return Stop("the unpacker says a line that is too long");
    if (end == std::string_view::npos) return true;
    piece.remove_prefix(end + 1);
    if (!TakeLine()) return false;
    line_.clear();
  }
  return true;
}

bool UnpackStream::TakeLine() {
  std::string_view rest = line_;
  if (TakeWord(rest, "file")) return TakeFile(rest);
  if (TakeWord(rest, "data")) {
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), data_left_);
    if (error != std::errc() || end != rest.data() + rest.size() || data_left_ == 0 ||
        data_left_ > file_left_) {
      data_left_ = 0;
      return Stop("the unpacker says octets of no file");
    }
    return true;
  }
  for (const Outcome outcome :
       {Outcome::kOk, Outcome::kUnreadable, Outcome::kUnsafe, Outcome::kFailed}) {
    if (!TakeWord(rest, UnpackWord(outcome))) continue;
    UnpackResult said;
    said.outcome = outcome;
    if (!TakeNumber(rest, said.members) || !TakeNumber(rest, said.octets)) break;
    if (outcome == Outcome::kOk && file_left_ > 0) break;
    said.why = Printable(rest);
    ended_ = true;
    result_ = std::move(said);
    return true;
  }
  return Stop("the unpacker says what is no outcome");
}

bool UnpackStream::TakeFile(std::string_view rest) {
  uint64_t octets = 0;
  if (file_left_ > 0 || !TakeNumber(rest, octets)) return Stop("the unpacker says what is no file");
  if (!writer_.Begin(rest, octets)) return false;
  file_left_ = octets;
  return file_left_ > 0 || writer_.End();
}

UnpackResult UnpackStream::result() const {
  return writer_.result().outcome == Outcome::kOk ? result_ : writer_.result();
}

}  // namespace auspex::runnerd
