// SPDX-License-Identifier: AGPL-3.0-only
// DesktopSession: a real D-Bus session bus with a real gnome-keyring on it, or with something worse,
// in a folder of its own. Everything that it starts dies with it. One thread.
#ifndef AUSPEX_TESTS_KEYD_DESKTOP_SESSION_H_
#define AUSPEX_TESTS_KEYD_DESKTOP_SESSION_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace auspex::keyd {

class DesktopSession {
 public:
  enum class Keyring {
    kUnlocked,  // gnome-keyring with an unlocked login keyring
    kLocked,  // gnome-keyring with the locked keyring of an earlier session, and nobody who can ask the person
    kAsks,   // the same, and the person who is asked does not answer
    kNone,   // a bus, and nobody who keeps secrets
    kHangs,  // a bus that starts a keyring which never takes its name
  };
  // `folder` is private and outlives this; a second session on it finds the first one's keyring.
  DesktopSession(const std::string& folder, Keyring keyring);
  ~DesktopSession();
  DesktopSession(const DesktopSession&) = delete;
  DesktopSession& operator=(const DesktopSession&) = delete;

  // Whether the machine has the programs.
  static bool Available();

  // What a program of the session gets: bus, runtime folder, home.
  const std::vector<std::string>& environment() const { return environment_; }

  struct Ran {
    int code = -1;
    std::string out;
  };
  // The helper itself, with `input`; its answer.
  Ran Helper(const std::string& command, const std::string& input = "") const;

 private:
  pid_t Spawn(const std::vector<std::string>& argv, const std::string& input) const;

  std::string folder_;
  std::vector<std::string> environment_;
  std::vector<pid_t> started_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_TESTS_KEYD_DESKTOP_SESSION_H_
