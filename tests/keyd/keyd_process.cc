// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/keyd/keyd_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "common/base/sanitized.h"
#include "common/ipc/channel.h"

namespace auspex::keyd {
namespace {

int ExitCode(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::unique_ptr<grpc::ClientContext> Deadline() {
  auto context = std::make_unique<grpc::ClientContext>();
  SetDeadline(*context, 20);
  return context;
}

KeydProcess::KeydProcess(const std::string& home, const std::vector<std::string>& environment,
                         const std::function<void()>& before_exec)
    : home_(home), log_path_(home + "/keyd.log") {
  const char* bin = std::getenv("AUSPEX_BIN_DIR");
  EXPECT_NE(bin, nullptr) << "run this through ctest";
  const std::string program = std::string(bin ? bin : ".") + "/auspex-keyd";
  int ready[2];
  if (::pipe2(ready, 0) != 0) std::abort();
  ::fcntl(ready[0], F_SETFD, FD_CLOEXEC);

  std::vector<std::string> variables = environment;
  // What the sanitizers' runtimes are told holds for keyd, too.
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    const char* value = std::getenv(name);
    if (kSanitized && value != nullptr) variables.push_back(std::string(name) + "=" + value);
  }
  variables.push_back("AUSPEX_READY_FD=" + std::to_string(ready[1]));
  variables.push_back("HOME=" + home);
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);
  std::string home_flag = "--home";
  std::string home_value = home;
  std::string name = program;
  char* argv[] = {name.data(), home_flag.data(), home_value.data(), nullptr};
  const int log = ::open(log_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t parent = ::getpid();

  pid_ = ::fork();
  if (pid_ == 0) {
    // Only calls that are safe after fork: gRPC of the parent may have threads.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(126);
    ::dup2(log, 2);
    if (before_exec) before_exec();
    ::execve(program.c_str(), argv, envp.data());
    ::_exit(127);
  }
  ::close(log);
  ::close(ready[1]);
  char octet = 0;
  ready_ = ::read(ready[0], &octet, 1) == 1 && octet == 'R';
  ::close(ready[0]);
}

KeydProcess::~KeydProcess() {
  if (pid_ > 0) Stop(SIGKILL);
  if (!kSanitized) return;
  // A report that was written before the end that the test chose shows in no exit code.
  const std::string said = log();
  EXPECT_TRUE(said.find("Sanitizer:") == std::string::npos &&
              said.find("runtime error:") == std::string::npos)
      << said;
}

int KeydProcess::Stop(int signal) {
  ::kill(pid_, signal);
  return WaitForExit();
}

int KeydProcess::WaitForExit() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return ExitCode(status);
}

std::string KeydProcess::log() const {
  std::stringstream text;
  text << std::ifstream(log_path_).rdbuf();
  return text.str();
}

std::string KeydProcess::SocketPath(const std::string& role) const {
  return home_ + "/run/keyd/" + role + ".sock";
}

std::unique_ptr<v1::RequestSigner::Stub> KeydProcess::request(const std::string& role) const {
  return v1::RequestSigner::NewStub(ConnectTo(SocketPath(role)));
}

std::unique_ptr<v1::ResultSigner::Stub> KeydProcess::result(const std::string& role) const {
  return v1::ResultSigner::NewStub(ConnectTo(SocketPath(role)));
}

std::unique_ptr<v1::KeyOwner::Stub> KeydProcess::owner(const std::string& role) const {
  return v1::KeyOwner::NewStub(ConnectTo(SocketPath(role)));
}

v1::KeyIdentity KeydProcess::CreateKey() const {
  v1::KeyIdentity identity;
  const grpc::Status status = owner()->CreateKey(Deadline().get(), {}, &identity);
  EXPECT_TRUE(status.ok()) << status.error_message() << log();
  return identity;
}

void KeydProcess::Enrol() const {
  v1::SetEnrolmentRequest request;
  request.set_base_url("http://127.0.0.1:8080/");
  request.set_worker_id("wkr-1");
  v1::SetEnrolmentResponse response;
  const grpc::Status status = owner()->SetEnrolment(Deadline().get(), request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

v1::KeyStatus KeydProcess::Status() const {
  v1::KeyStatus out;
  const grpc::Status status = owner()->GetStatus(Deadline().get(), {}, &out);
  EXPECT_TRUE(status.ok()) << status.error_message() << log();
  return out;
}

std::vector<v1::JournalRecord> KeydProcess::Journal(uint64_t first, uint64_t limit) const {
  v1::ListJournalRequest request;
  request.set_first_sequence(first);
  request.set_limit(limit);
  const auto stub = owner();
  const auto context = Deadline();
  const auto reader = stub->ListJournal(context.get(), request);
  std::vector<v1::JournalRecord> records;
  for (v1::JournalRecord record; reader->Read(&record);) records.push_back(record);
  const grpc::Status status = reader->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  return records;
}

void KeydProcess::OpenGrant(v1::OwnerAct act) const {
  v1::OpenGrantRequest request;
  request.set_act(act);
  request.set_worker_id("wkr-1");
  v1::OpenGrantResponse response;
  const grpc::Status status = owner()->OpenGrant(Deadline().get(), request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

}  // namespace auspex::keyd
