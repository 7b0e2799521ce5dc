#pragma once

#include "crash/queue_world.hpp"

#include <multifork/channel/pipe.hpp>

#include <memory>
#include <optional>
#include <string>

// Pipes for the crash tests. The test holds both ends for itself under other names, unless a
// scenario is about the end of the stream: then who holds what is said there.

namespace multifork::test::crash {

inline constexpr std::uint64_t stream_ended = 998;
inline constexpr std::uint64_t pipe_broken = 997;

template <class Kind>
class PipeWorld {
public:
    using Message = typename Kind::Type;
    static constexpr std::size_t capacity = 3;

    std::optional<Connection<Message>> reader;
    std::optional<Connection<Message>> writer;

    /// A new pipe that holds 1 to `items`.
    void fresh(std::uint64_t items) {
        reader.reset();
        writer.reset();
        warm_up();
        before_ = usage();
        auto [in, out] = Pipe<Message>({.duplex = false, .capacity = capacity});
        reader.emplace(in);
        writer.emplace(out);
        accounted_.clear();
        lost_.clear();
        for (std::uint64_t n = 1; n <= items; ++n)
            send(n);
    }
    /// The thread is attached, and its buffer is there.
    void warm_up() {
        if (!spare_)
            spare_.emplace(Pipe<Message>());
        spare_->first.send(Kind::make(1));
        static_cast<void>(spare_->second.recv());
    }

    void send(std::uint64_t n) {
        require(writer->try_send_for(Kind::make(n), limit()), "send() hangs");
        accounted_.push_back(n);
    }

    Job receiver() {
        return [this] { return receive(); };
    }
    std::uint64_t receive() {
        try {
            return checked(reader->recv());
        } catch (const EndOfStream&) {
            return stream_ended;
        }
    }
    /// Holds no end but the one that it uses.
    Job only_receiver() {
        return [this] {
            writer->close();
            const std::uint64_t got = receive();
            reader->close();
            return got;
        };
    }
    Job only_sender(std::uint64_t n) {
        return [this, n] {
            reader->close();
            const std::uint64_t sent = transmit(n);
            writer->close();
            return sent;
        };
    }
    Job sender(std::uint64_t n) {
        return [this, n] { return transmit(n); };
    }
    std::uint64_t transmit(std::uint64_t n) {
        try {
            writer->send(Kind::make(n));
            return n;
        } catch (const BrokenPipe&) {
            return pipe_broken;
        }
    }

    Numbers drain() {
        Numbers got;
        while (auto message = reader->try_recv()) {
            got.push_back(checked(*message));
            require(got.size() <= 50, "the pipe gives more than anybody sent");
        }
        return got;
    }

    void also_sent(std::uint64_t n) { accounted_.push_back(n); }
    void may_be_lost(std::uint64_t n) { lost_.push_back(n); }
    void expect_all_accounted_for(Numbers got) {
        std::size_t missing = 0;
        for (const std::uint64_t n : accounted_) {
            const auto found = std::find(got.begin(), got.end(), n);
            if (found != got.end())
                got.erase(found);
            else if (std::find(lost_.begin(), lost_.end(), n) != lost_.end())
                ++missing;
            else
                throw Failure("message " + std::to_string(n) + " is lost");
        }
        require(missing <= 1, "more than one message died with the victim");
        if (!got.empty())
            throw Failure("message " + std::to_string(got.front()) + " came twice, or never sent");
    }
    void expect_it_works() {
        for (std::uint64_t n = 0; n < 2 * capacity; ++n) {
            require(writer->try_send_for(Kind::make(n), limit()), "send() hangs afterwards");
            const auto got = reader->try_recv_for(limit());
            require(got.has_value() && checked(*got) == n, "the pipe is damaged");
        }
    }
    /// When all have let go, no block of the pipe or of a message is left.
    void expect_no_memory_lost() {
        reader.reset();
        writer.reset();
        const auto now = usage();
        if (now.blocks_used != before_.blocks_used)
            throw Failure("blocks leak: " + std::to_string(before_.blocks_used) + " before, " +
                          std::to_string(now.blocks_used) + " now");
    }

    static std::uint64_t checked(const Message& message) {
        const std::uint64_t n = Kind::number(message);
        require(Kind::whole(message, n), "torn message");
        return n;
    }
    static std::chrono::nanoseconds limit() { return std::chrono::nanoseconds(hang_limit_ns()); }
    [[nodiscard]] std::string state() const {
        return (reader ? reader->to_string() : "-") + " " + (writer ? writer->to_string() : "-");
    }

private:
    static arena::SpaceUsage usage() {
        arena::tree_space().sweep();
        return arena::arena_usage();
    }
    std::optional<std::pair<Connection<Message>, Connection<Message>>> spare_;
    arena::SpaceUsage before_;
    Numbers accounted_;
    Numbers lost_;
};

template <class Kind>
using SharedPipe = std::shared_ptr<PipeWorld<Kind>>;

} // namespace multifork::test::crash
