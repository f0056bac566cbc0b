// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/runnerd/daemon_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "common/base/cat.h"
#include "common/files/files.h"
#include "common/ipc/channel.h"
#include "runnerd/leftovers.h"
#include "tests/support/pace.h"

namespace auspex::runnerd {

namespace rpc = stated::v1;
using std::chrono::milliseconds;
using std::chrono::seconds;

// What a test is ready to wait on this machine.
static seconds Patience(int on_a_host) { return seconds(static_cast<int>(on_a_host * TestPace())); }

int FakeStated::Running() const {
  return static_cast<int>(std::count_if(units_.begin(), units_.end(), [](const auto& u) {
    return u.second.state == State::kRunning;
  }));
}

void FakeStated::Give(const std::string& id, const std::string& manifest_sha256,
                      const std::string& payload) {
  std::lock_guard lock(mutex_);
  Known known;
  known.unit.set_assignment_id("asg-" + id);
  known.unit.set_experiment_id("exp-1");
  known.unit.set_unit_id(id);
  known.unit.set_tenant_id("test-lab");
  known.unit.set_experiment_label("some-experiment");
  known.unit.set_manifest_sha256(manifest_sha256);
  known.unit.set_created_at("2026-07-19T12:00:00+00:00");
  known.unit.set_canonical_payload(payload);
  units_.emplace("asg-" + id, known);
  changed_.notify_all();
}

void FakeStated::End(const std::string& id) {
  std::lock_guard lock(mutex_);
  units_["asg-" + id].state = State::kEnded;
  ends_.push_back("asg-" + id);
  changed_.notify_all();
}

FakeStated::Known FakeStated::WaitFor(const std::string& id, State state) {
  std::unique_lock lock(mutex_);
  const bool reached = changed_.wait_for(lock, Patience(testing::Test::HasFailure() ? 1 : 20),
                                         [&] { return units_["asg-" + id].state == state; });
  EXPECT_TRUE(reached) << id << " is in state " << static_cast<int>(units_["asg-" + id].state)
                       << ": " << units_["asg-" + id].refusal.ShortDebugString();
  return units_["asg-" + id];
}

FakeStated::Known FakeStated::WaitForBegun(const std::string& id, int times) {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(
      changed_.wait_for(lock, Patience(20), [&] { return units_["asg-" + id].begun >= times; }))
      << id << " has begun " << units_["asg-" + id].begun << " times";
  return units_["asg-" + id];
}

void FakeStated::WaitForTries(const std::string& id, int times) {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(
      changed_.wait_for(lock, Patience(20), [&] { return units_["asg-" + id].tried >= times; }));
}

void FakeStated::WaitForRefusals(const std::string& id, int times) {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(
      changed_.wait_for(lock, Patience(20), [&] { return units_["asg-" + id].refusals >= times; }));
}

std::string FakeStated::WaitForCapabilities() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, Patience(20), [&] { return !capabilities_.empty(); });
  return capabilities_;
}

rpc::Condition FakeStated::WaitForStrain(const std::string& word) {
  std::unique_lock lock(mutex_);
  const bool told = changed_.wait_for(
      lock, Patience(20), [&] { return condition_.has_value() && condition_->strain() == word; });
  EXPECT_TRUE(told) << "runnerd never told '" << word << "'";
  return condition_.value_or(rpc::Condition());
}

void FakeStated::WaitForSlots(uint32_t slots) {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(
      lock, Patience(20), [&] { return condition_.has_value() && condition_->slots() == slots; }))
      << "runnerd never told " << slots << " slots";
}

void FakeStated::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

grpc::Status FakeStated::WatchWork(grpc::ServerContext* context,
                                   const rpc::WatchWorkRequest* request,
                                   grpc::ServerWriter<rpc::WorkItem>* writer) {
  writer->SendInitialMetadata();
  std::unique_lock lock(mutex_);
  closed_ = false;
  const uint64_t mine = ++stream_;
  slots_ = request->slots();
  for (auto& [id, known] : units_) known.sent = false;
  while (!context->IsCancelled() && !closed_ && stream_ == mine) {
    std::vector<rpc::WorkItem> items;
    int busy = static_cast<int>(std::count_if(units_.begin(), units_.end(), [](const auto& u) {
      return u.second.sent &&
             (u.second.state == State::kRunning || u.second.state == State::kAccepted);
    }));
    for (auto& [id, known] : units_) {
      if (known.state != State::kAccepted || known.sent || busy >= static_cast<int>(slots_))
        continue;
      known.sent = true;
      ++busy;
      *items.emplace_back().mutable_run() = known.unit;
    }
    for (; !ends_.empty(); ends_.pop_front()) {
      items.emplace_back().mutable_end()->set_assignment_id(ends_.front());
    }
    changed_.notify_all();
    lock.unlock();
    for (const rpc::WorkItem& item : items) writer->Write(item);
    lock.lock();
    if (items.empty()) changed_.wait_for(lock, milliseconds(20));
  }
  for (auto& [id, known] : units_) {
    if (known.state == State::kRunning) known.state = State::kAccepted;
  }
  changed_.notify_all();
  return grpc::Status::OK;
}

grpc::Status FakeStated::BeginUnit(grpc::ServerContext*, const rpc::BeginUnitRequest* request,
                                   rpc::BeginUnitResponse*) {
  std::lock_guard lock(mutex_);
  Known& known = units_[request->assignment_id()];
  ++known.tried;
  changed_.notify_all();
  if (begin_answer_ != grpc::StatusCode::OK) return grpc::Status(begin_answer_, "said so");
  if (cannot_begin_) return grpc::Status(grpc::StatusCode::INTERNAL, "disk full");
  // Running already: the answer to an earlier call was lost, perhaps with the runnerd that made it.
  if (known.state != State::kAccepted && known.state != State::kRunning) {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "not accepted");
  }
  known.state = State::kRunning;
  known.begin = *request;
  ++known.begun;
  most_running_ = std::max(most_running_, Running());
  changed_.notify_all();
  return grpc::Status::OK;
}

grpc::Status FakeStated::CompleteUnit(grpc::ServerContext*, const rpc::CompleteUnitRequest* request,
                                      rpc::CompleteUnitResponse*) {
  std::lock_guard lock(mutex_);
  Known& known = units_[request->assignment_id()];
  if (store_answer_ != grpc::StatusCode::OK) return grpc::Status(store_answer_, "said so");
  if (known.state != State::kRunning)
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "not running");
  known.state = State::kCompleted;
  known.result = *request;
  changed_.notify_all();
  return grpc::Status::OK;
}

grpc::Status FakeStated::RefuseUnit(grpc::ServerContext*, const rpc::RefuseUnitRequest* request,
                                    rpc::RefuseUnitResponse*) {
  std::unique_lock lock(mutex_);
  Known& known = units_[request->assignment_id()];
  ++known.refusals;
  changed_.notify_all();
  if (cannot_refuse_) return grpc::Status(grpc::StatusCode::INTERNAL, "disk full");
  known.state = State::kRefused;
  known.refusal = *request;
  if (offer_again_.exchange(false)) {
    known.state = State::kAccepted;
    known.sent = false;
    changed_.wait_for(lock, Patience(20), [&] { return known.sent; });
    lock.unlock();
    // Long enough for runnerd to read it.
    std::this_thread::sleep_for(TestPace() * milliseconds(200));
  }
  return grpc::Status::OK;
}

grpc::Status FakeStated::GetPackage(grpc::ServerContext*, const rpc::GetPackageRequest* request,
                                    grpc::ServerWriter<rpc::PackageChunk>* writer) {
  auto archive = archives.find(request->manifest_sha256());
  if (archive == archives.end())
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "package_not_found");
  for (size_t at = 0; at < archive->second.size(); at += 100'000) {
    rpc::PackageChunk chunk;
    chunk.set_chunk(archive->second.substr(at, 100'000));
    writer->Write(chunk);
  }
  return grpc::Status::OK;
}

grpc::Status FakeStated::DropPackage(grpc::ServerContext*, const rpc::GetPackageRequest*,
                                     rpc::DropPackageResponse*) {
  return grpc::Status::OK;
}

grpc::Status FakeStated::ReportCapabilities(grpc::ServerContext*, const rpc::Capabilities* request,
                                            rpc::ReportCapabilitiesResponse*) {
  std::lock_guard lock(mutex_);
  capabilities_ = request->canonical_json();
  changed_.notify_all();
  return grpc::Status::OK;
}

grpc::Status FakeStated::ReportCondition(grpc::ServerContext*, const rpc::Condition* request,
                                         rpc::ReportConditionResponse*) {
  std::lock_guard lock(mutex_);
  condition_ = *request;
  if (request->slots() != 0) slots_ = request->slots();
  changed_.notify_all();
  return grpc::Status::OK;
}

grpc::Status FakeKeyd::SignResult(grpc::ServerContext*, const keyd::v1::SignResultRequest* request,
                                  keyd::v1::SignResultResponse* answer) {
  if (request->schema_version() != 2)
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "schema_version");
  answer->set_worker_pubkey(std::string(64, 'a'));
  answer->set_signature(std::string(64, 's'));
  answer->set_result_sha256(std::string(32, 'h'));
  return grpc::Status::OK;
}

grpc::Status FakeKeyd::SignRawText(grpc::ServerContext*, const keyd::v1::SignRawTextRequest*,
                                   keyd::v1::SignRawTextResponse* answer) {
  answer->set_signature(std::string(64, 'r'));
  return grpc::Status::OK;
}

void DaemonTest::SetUp() {
  for (const char* name : {"/run", "/run/keyd", "/run/stated"})
    ASSERT_TRUE(MakePrivateDirectory(Cat(folder_.path(), name)).ok());
  StartStated();
  RoleServer::Options options;
  options.role = "keyd/result";
  options.socket_path = Cat(folder_.path(), "/run/keyd/result.sock");
  options.allow = PeerRule::Self();
  auto server = RoleServer::Start(options, {&keyd_});
  ASSERT_TRUE(server.ok()) << server.status();
  keyd_server_ = *std::move(server);
}

void DaemonTest::StartStated() {
  RoleServer::Options options;
  options.role = "stated/run";
  options.socket_path = Cat(folder_.path(), "/run/stated/run.sock");
  options.allow = PeerRule::Self();
  options.max_pollers = 8;
  auto server = RoleServer::Start(options, {&stated_});
  ASSERT_TRUE(server.ok()) << server.status();
  stated_server_ = *std::move(server);
}

void DaemonTest::StopStated() {
  stated_.Close();
  stated_server_->Shutdown(0);
  stated_server_.reset();
}

void DaemonTest::TearDown() {
  if (runnerd_ > 0) {
    KillRunnerd(SIGTERM);
    // Not even a half-built sandbox, which no /proc/N/root would show.
    EXPECT_EQ(EndLeftovers(EtcFolder()), 0);
    EXPECT_EQ(exit_status_, 0);
  }
  if (HasFailure()) std::fputs(Log().c_str(), stderr);
  if (stated_server_ != nullptr) StopStated();
  if (keyd_server_ != nullptr) keyd_server_->Shutdown(0);
}

std::string DaemonTest::Settings(const std::string& more) {
  return Cat("[executor]\nexecute_tenant_code = \"provisioned\"\n[resources]\nslots = 3\n", more);
}

void DaemonTest::StartRunnerd(const std::string& config) {
  folder_.Write("worker.toml", config.empty() ? Settings("") : config, 0600);
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const std::string program = Cat(BinDir(), "/auspex-runnerd");
  runnerd_ = fork();
  if (runnerd_ == 0) {
    const int log = open(Cat(folder_.path(), "/runnerd.log").c_str(),
                         O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log >= 0) dup2(log, STDERR_FILENO);
    setenv("AUSPEX_READY_FD", std::to_string(ready[1]).c_str(), 1);
    std::vector<const char*> words{program.c_str(), "--home", folder_.path().c_str()};
    for (const std::string& flag : flags_) words.push_back(flag.c_str());
    words.push_back(nullptr);
    execv(program.c_str(), const_cast<char**>(words.data()));
    _exit(127);
  }
  close(ready[1]);
  pollfd entry{ready[0], POLLIN, 0};
  char octet = 0;
  EXPECT_EQ(poll(&entry, 1, 20'000), 1);
  EXPECT_GE(read(ready[0], &octet, 1), 1) << "auspex-runnerd ended before it served";
  close(ready[0]);
}

void DaemonTest::KillRunnerd(int signal) {
  kill(runnerd_, signal);
  int status = 0;
  waitpid(runnerd_, &status, 0);
  exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  runnerd_ = -1;
}

std::string DaemonTest::Log() const { return ReadWhole(Cat(folder_.path(), "/runnerd.log")); }

std::unique_ptr<v1::Sandboxes::Stub> DaemonTest::Owner() const {
  return v1::Sandboxes::NewStub(ConnectTo(Cat(folder_.path(), "/run/runnerd/owner.sock")));
}

std::string DaemonTest::Stage(const std::vector<std::string>& mode_and_argument) {
  std::vector<std::string> command{"./tenant"};
  command.insert(command.end(), mode_and_argument.begin(), mode_and_argument.end());
  const BuiltPackage package = BuildPackage(command, {{"tenant", ReadWhole(TenantPath())}});
  stated_.archives[package.sha256] = Gzip(Tar(package.members));
  return package.sha256;
}

std::string DaemonTest::EtcFolder() const {
  return Cat(folder_.path(), "/state/runnerd/sandbox-etc");
}

}  // namespace auspex::runnerd
