// SPDX-License-Identifier: AGPL-3.0-only
#include "examples/robustness-sweep/digits.h"

#include <charconv>
#include <cstdio>
#include <memory>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "examples/robustness-sweep/exact_math.h"

namespace auspex::sweep {
namespace {

constexpr int kDarkest = 16;
constexpr size_t kMaxOctets = 1 << 20;

absl::Status LineError(int line, std::string_view what) {
  return absl::InvalidArgumentError(Cat("digits: line ", line, ": ", what));
}

absl::StatusOr<Digit> ParseLine(std::string_view text, int line) {
  Digit digit;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (int column = 0; column <= kPixels; ++column) {
    if (column > 0) {
      if (at == end || *at != ',') return LineError(line, "fewer than 65 numbers");
      ++at;
    }
    int value = -1;
    const auto parsed = std::from_chars(at, end, value);
    const int largest = column < kPixels ? kDarkest : kClasses - 1;
    if (parsed.ec != std::errc() || value < 0 || value > largest) {
      return LineError(line, Cat("column ", column + 1, " is not an integer of 0 to ", largest));
    }
    at = parsed.ptr;
    if (column < kPixels) {
      digit.pixels[column] = static_cast<double>(value) / kDarkest;
    } else {
      digit.label = value;
    }
  }
  if (at != end) return LineError(line, "more than 65 numbers");
  return digit;
}

}  // namespace

absl::StatusOr<std::vector<Digit>> ParseDigits(std::string_view text) {
  std::vector<Digit> digits;
  for (int line = 1; !text.empty(); ++line) {
    const size_t end = text.find('\n');
    ASSIGN_OR_RETURN(Digit digit, ParseLine(text.substr(0, end), line));
    digits.push_back(digit);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  if (digits.size() < 3) return absl::InvalidArgumentError("digits: fewer than three images");
  return digits;
}

absl::StatusOr<std::vector<Digit>> LoadDigits(const std::string& path) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "re"));
  if (file == nullptr) return absl::NotFoundError(Cat("digits: cannot open ", path));
  std::string text(kMaxOctets + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get())) return absl::NotFoundError(Cat("digits: cannot read ", path));
  if (text.size() > kMaxOctets) {
    return absl::InvalidArgumentError(Cat("digits: ", path, " is over ", kMaxOctets, " octets"));
  }
  return ParseDigits(text);
}

Split SplitDigits(std::vector<Digit> digits, uint64_t seed) {
  Random random(seed);
  for (size_t i = digits.size(); i > 1; --i) {
    std::swap(digits[i - 1], digits[random.Below(static_cast<uint32_t>(i))]);
  }
  const size_t train = digits.size() - digits.size() / 3;
  Split split;
  split.train.assign(digits.begin(), digits.begin() + static_cast<ptrdiff_t>(train));
  split.test.assign(digits.begin() + static_cast<ptrdiff_t>(train), digits.end());
  return split;
}

}  // namespace auspex::sweep
