// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/passphrase.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"

namespace auspex::cli {
namespace {

constexpr size_t kLeastOctets = 8;

// A terminal that shows nothing of what is typed, until the end of this object.
class Quiet {
 public:
  explicit Quiet(int terminal) : terminal_(terminal) {
    if (::tcgetattr(terminal_, &before_) != 0) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet_ = ::tcsetattr(terminal_, TCSAFLUSH, &quiet) == 0;
  }
  ~Quiet() {
    if (quiet_) ::tcsetattr(terminal_, TCSAFLUSH, &before_);
  }
  bool quiet() const { return quiet_; }

 private:
  int terminal_;
  termios before_{};
  bool quiet_ = false;
};

void Say(int terminal, std::string_view text) {
  [[maybe_unused]] const ssize_t written = ::write(terminal, text.data(), text.size());
}

}  // namespace

Passphrase::Passphrase() { ::mlock(octets_, sizeof octets_); }

Passphrase::~Passphrase() {
  ::explicit_bzero(octets_, sizeof octets_);
  ::munlock(octets_, sizeof octets_);
}

absl::Status Passphrase::ReadLine(int terminal, const char* prompt) {
  const Quiet quiet(terminal);
  if (!quiet.quiet()) return ErrnoStatus(errno, "silence", "/dev/tty");
  Say(terminal, prompt);
  for (size_ = 0; size_ <= kMaxOctets;) {
    const ssize_t got = ::read(terminal, octets_ + size_, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || octets_[size_] == '\n') break;
    ++size_;
  }
  Say(terminal, "\n");
  if (size_ < kLeastOctets || size_ > kMaxOctets) {
    return absl::InvalidArgumentError(
        Cat("a passphrase has between ", kLeastOctets, " and ", kMaxOctets, " octets"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Passphrase>> Passphrase::Ask(bool twice) {
  const UniqueFd terminal(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal) {
    return absl::FailedPreconditionError(
        "there is no terminal to ask for the passphrase; set AUSPEX_KEYD_PASSPHRASE_FILE instead");
  }
  std::unique_ptr<Passphrase> phrase(new Passphrase());
  RETURN_IF_ERROR(phrase->ReadLine(terminal.get(), "Passphrase of the key: "));
  if (!twice) return phrase;
  std::unique_ptr<Passphrase> again(new Passphrase());
  RETURN_IF_ERROR(again->ReadLine(terminal.get(), "The same again: "));
  if (again->size_ != phrase->size_ ||
      std::memcmp(again->octets_, phrase->octets_, phrase->size_) != 0) {
    return absl::InvalidArgumentError("the two passphrases are not the same");
  }
  return phrase;
}

absl::StatusOr<UniqueFd> Passphrase::Pipe() const {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "make", "a pipe for the passphrase");
  UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  // It fits: a pipe holds a page at least.
  if (::write(writer.get(), octets_, size_) != static_cast<ssize_t>(size_)) {
    return ErrnoStatus(errno, "write", "the passphrase to its pipe");
  }
  return reader;
}

}  // namespace auspex::cli
