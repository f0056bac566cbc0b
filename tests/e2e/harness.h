// SPDX-License-Identifier: AGPL-3.0-only
// Real processes for tests: a folder, child processes that cannot outlive the test, HTTP to
// loopback, waiting for a fact.
//
// Every child leads a process group of its own, dies with the test (PR_SET_PDEATHSIG) and is killed
// and reaped by its owner's destructor; what it leaves behind is adopted by the test (subreaper)
// and killed by KillOrphans. One thread: the one that made them.
//
// All seconds here are patience and follow TestPace (tests/support/pace.h): no limit is tested with them.
#ifndef AUSPEX_TESTS_E2E_HARNESS_H_
#define AUSPEX_TESTS_E2E_HARNESS_H_

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace auspex::e2e {

using Json = nlohmann::json;

// A folder of mode 0700 with a short name, so that socket paths below it stay short; removed with
// all it holds. With AUSPEX_KEEP_FOLDERS=1 it stays, for a look at the logs.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// The path of one of our programs.
std::string Program(const std::string& name);
// The staged folder of an example package.
std::string ExamplePackage(const std::string& name);

std::string ReadText(const std::string& path);  // empty when it cannot be read
void WriteText(const std::string& path, const std::string& text);

struct Finished {
  int code = -1;  // exit code, or 128 + signal
  std::string out, err;
};

class Process {
 public:
  struct Options {
    std::vector<std::string> command;
    std::map<std::string, std::string> environment;  // added to a small fixed one
    std::string log;                                 // file for both outputs; empty: see RunCommand
    bool ready_pipe = false;                         // AUSPEX_READY_FD
  };
  Process() = default;
  explicit Process(const Options& options);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  pid_t pid() const { return pid_; }
  bool running();
  // Waits until the child has said that it serves; false when it ended or `seconds` passed.
  bool WaitReady(double seconds);
  void Signal(int signal) const;
  // The exit code (128 + signal); nullopt when it still runs after `seconds`.
  std::optional<int> Wait(double seconds);
  // Kills the whole process group and reaps the child.
  void Kill();

 private:
  pid_t pid_ = 0;
  int ready_fd_ = -1;
  std::optional<int> code_;
};

// Runs a command to its end (at most `seconds`, then it is killed and the code is -1).
Finished RunCommand(const std::vector<std::string>& command, double seconds = 30,
                    const std::map<std::string, std::string>& environment = {});

// Makes this process adopt orphans of its children. Called by the first Process.
void AdoptOrphans();
// Kills and reaps whatever descends from this process and is not one of its Process objects.
void KillOrphans();
// Processes whose command line or environment names `text`, as "pid command line". The test itself
// is not counted.
std::vector<std::string> ProcessesNaming(const std::string& text);
// Pids of processes whose command line names both.
std::vector<pid_t> PidsNaming(const std::string& first, const std::string& second);
// Resident memory of its own in KiB, without pages of files and libraries, which come and go with what was touched; 0 when
// the process is gone.
long AnonymousKib(pid_t pid);

// True as soon as `fact` is; false when it still is not after `seconds`. Looks every 20 ms.
bool Eventually(double seconds, const std::function<bool()>& fact);

struct HttpAnswer {
  int status = 0;  // 0: no answer
  std::string body;
  Json json() const { return Json::parse(body, nullptr, false); }
};
// One request to 127.0.0.1:port.
HttpAnswer Http(int port, const std::string& method, const std::string& target,
                const std::vector<std::pair<std::string, std::string>>& headers = {},
                const std::string& body = "");

}  // namespace auspex::e2e

#endif  // AUSPEX_TESTS_E2E_HARNESS_H_
