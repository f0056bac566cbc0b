// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/role_server.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/ipc/call_loop.h"
#include "common/ipc/channel.h"
#include "common/ipc/grpc_life.h"
#include "common/ipc/health_service.h"
#include "common/ipc/listen.h"
#include "common/ipc/read_turns.h"
#include "common/ipc/role_door.h"
#include "common/ipc/role_key.h"
#include "common/log/log.h"

namespace auspex {
namespace {

struct Connection {
  Peer peer;
  ino_t inode = 0;
};

ino_t InodeOf(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? info.st_ino : 0;
}

// Where the rule is "my own user", the user says nothing about which of the user's processes it is:
// then the key of the role must.
bool KeyCounts(const PeerRule& rule) {
  return rule.gids.empty() && rule.uids == PeerRule::Self().uids;
}

// gRPC owns a connection after the hand-over and does not tell when it closed it. The kernel does:
// a descriptor that is no longer the socket that was handed over was closed.
bool StillTheSame(int fd, ino_t inode) { return InodeOf(fd) == inode; }

class RoleServerImpl final : public RoleServer {
 public:
  RoleServerImpl(Options options, CallLoop* loop, std::string key, Listener listener, UniqueFd wake)
      : options_(std::move(options)),
        loop_(loop),
        health_(/*in_loop=*/loop != nullptr),
        door_(options_.role, std::move(key)),
        listener_(std::move(listener)),
        wake_(std::move(wake)) {}
  ~RoleServerImpl() override { Shutdown(0); }

  absl::Status Serve(const std::vector<grpc::Service*>& services) {
    KeepGrpc();
    grpc::ServerBuilder builder;
    for (grpc::Service* service : services) builder.RegisterService(service);
    builder.RegisterService(&health_);
    if (loop_ != nullptr) {
      loop_->Add(health_, &HealthService::RequestCheck,
                 [](const grpc::ServerContext&, const grpc::ByteBuffer& request,
                    grpc::ByteBuffer& response) -> CallLoop::Answer {
                   return [&] { return HealthService::Check(request, response); };
                 });
      loop_->Prepare(builder);
    }
    builder.SetMaxReceiveMessageSize(options_.max_message_octets);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, options_.min_pollers);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, options_.max_pollers);
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 8 * 1024);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 128);
    for (const char* unused : kUnusedOfGrpc) builder.AddChannelArgument(unused, 0);
    grpc::ResourceQuota quota(options_.role);
    quota.SetMaxThreads(options_.max_threads);
    quota.Resize(options_.max_memory_octets);
    builder.SetResourceQuota(quota);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) {
      return absl::InternalError(Cat(options_.role, ": the RPC server did not start"));
    }
    if (loop_ != nullptr) loop_->Start();
    acceptor_ = std::thread([this] { AcceptLoop(); });
    return absl::OkStatus();
  }

  void Shutdown(int grace_ms) override {
    if (stopping_.exchange(true)) return;
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t woken = ::write(wake_.get(), &one, sizeof one);
    if (acceptor_.joinable()) acceptor_.join();
    if (server_ != nullptr) {
      server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(grace_ms));
      server_->Wait();
    }
    if (loop_ != nullptr) loop_->Stop();
    if (!listener_.from_systemd) ::unlink(options_.socket_path.c_str());
  }

  Peer PeerOfCall(const grpc::ServerContext& context) const override {
    // gRPC names a connection that was handed over "fd:<number>".
    const std::string name = context.peer();
    int fd = -1;
    if (name.rfind("fd:", 0) == 0) {
      std::from_chars(name.data() + 3, name.data() + name.size(), fd);
    }
    const std::lock_guard lock(mutex_);
    const auto found = connections_.find(fd);
    return found == connections_.end() ? Peer{0, static_cast<uid_t>(-1), static_cast<gid_t>(-1), {}}
                                       : found->second.peer;
  }

 private:
  void AcceptLoop() {
    const RoleDoor::LetIn let_in = [this](UniqueFd fd, const Peer& peer) {
      LetIn(std::move(fd), peer);
    };
    std::vector<pollfd> waits;
    while (!stopping_) {
      waits.assign({{listener_.fd.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}});
      const int patience_ms = door_.AddTo(waits);
      if (::poll(waits.data(), waits.size(), patience_ms) < 0 && errno != EINTR) break;
      if (stopping_) break;
      door_.Look(let_in);
      if ((waits[0].revents & POLLIN) != 0) AcceptOne(let_in);
    }
  }

  void AcceptOne(const RoleDoor::LetIn& let_in) {
    UniqueFd fd(::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      // Out of descriptors: without a pause this loop would spin until one is free.
      if (errno == EMFILE || errno == ENFILE) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      return;
    }
    const absl::StatusOr<Peer> peer = PeerOf(fd.get());
    const absl::Status allowed = peer.ok() ? options_.allow.Check(*peer) : peer.status();
    if (!allowed.ok()) {
      LogWarning("peer_refused",
                 {{"role", options_.role}, {"reason", std::string(allowed.message())}});
      return;
    }
    door_.Take(std::move(fd), *peer, let_in);
  }

  void LetIn(UniqueFd fd, const Peer& peer) {
    RotateNumber(fd);
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(connections_, [](const auto& entry) {
        if (StillTheSame(entry.first, entry.second.inode)) return false;
        ForgetTurns(entry.first);
        return true;
      });
      if (connections_.size() >= static_cast<size_t>(options_.max_connections)) {
        LogWarning(
            "peer_refused",
            {{"role", options_.role}, {"pid", peer.pid}, {"reason", "too many connections"}});
        return;
      }
      connections_[fd.get()] = Connection{peer, InodeOf(fd.get())};
    }
    ReadInTurns(fd.get());
    grpc::AddInsecureChannelFromFd(server_.get(), fd.Release());
  }

  // Moves the connection to a descriptor number that was not used for a while. gRPC names a call's
  // connection by number alone, so a call that outlives its connection would otherwise be taken for
  // the next one's.
  void RotateNumber(UniqueFd& fd) {
    next_number_ = next_number_ >= kLastNumber ? kFirstNumber : next_number_ + 1;
    const int moved = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, next_number_);
    if (moved < 0) return;  // A low limit on descriptors: the number stays what it is.
    next_number_ = moved;
    fd.Reset(moved);
  }

  static constexpr int kFirstNumber = 128, kLastNumber = 900;  // below the usual soft limit of 1024

  const Options options_;
  CallLoop* const loop_;  // null: gRPC's own threads answer
  HealthService health_;
  RoleDoor door_;                   // the acceptor's own
  int next_number_ = kFirstNumber;  // the acceptor's own
  Listener listener_;
  UniqueFd wake_;
  std::unique_ptr<grpc::Server> server_;
  std::thread acceptor_;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::map<int, Connection> connections_;  // guarded by mutex_; by descriptor number
};

}  // namespace

absl::StatusOr<std::unique_ptr<RoleServer>> RoleServer::Start(Options options,
                                                              std::vector<grpc::Service*> services,
                                                              CallLoop* loop) {
  std::string key;
  if (KeyCounts(options.allow)) {
    ASSIGN_OR_RETURN(key, EnsureRoleKey(options.socket_path));
  }
  const long group = options.allow.gids.empty() ? -1 : static_cast<long>(options.allow.gids[0]);
  ASSIGN_OR_RETURN(Listener listener, ListenAt(options.socket_path, group));
  // systemd passes blocking sockets; the accept loop must never block outside poll.
  const int flags = ::fcntl(listener.fd.get(), F_GETFL);
  ::fcntl(listener.fd.get(), F_SETFL, flags | O_NONBLOCK);
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC));
  if (!wake) return ErrnoStatus(errno, "make an event descriptor for", options.role);
  auto server = std::make_unique<RoleServerImpl>(std::move(options), loop, std::move(key),
                                                 std::move(listener), std::move(wake));
  RETURN_IF_ERROR(server->Serve(services));
  return server;
}

}  // namespace auspex
