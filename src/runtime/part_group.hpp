/// @file
/// Coroutines that run as parts of one awaiting coroutine.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

namespace llmproc {

/// What the end of one part means for the others.
enum class PartRule {
    all,   ///< The first error cancels the others.
    each,  ///< Nothing.
    race,  ///< The first end, whatever it is, cancels the others.
};

/// Runs each part on the awaiting coroutine's executor and resumes that coroutine when all of them
/// have ended. The awaiting coroutine gets the group only then: its handler is owned by the parts,
/// so a dying context destroys everything once and in order.
///
/// Thread safety: used on one strand.
class PartGroup : public std::enable_shared_from_this<PartGroup> {
public:
    using Parts = std::vector<boost::asio::awaitable<void>>;

    struct Options {
        PartRule rule = PartRule::all;
        bool shielded = false;  ///< Cancellation is only noted.
        std::optional<std::chrono::milliseconds> limit;
    };

    /// Resumes when all have ended; throws nothing of theirs.
    static boost::asio::awaitable<std::shared_ptr<PartGroup>> run(Options options, Parts parts);

    PartGroup(const PartGroup&) = delete;
    PartGroup& operator=(const PartGroup&) = delete;
    virtual ~PartGroup();

    /// What became of it: the first error, or the cause of the cancellation if a part failed by it.
    void rethrow() const;
    /// Of `PartRule::race`: which part was first.
    std::size_t first() const noexcept { return first_; }
    /// Of `PartRule::each`: an error or null for each.
    std::vector<std::exception_ptr> take_errors();
    bool cancelled() const noexcept { return cause_ == Cause::awaiter; }

protected:
    PartGroup(const Options& options, std::size_t count);
    /// Resumes the awaiting coroutine.
    virtual void complete() = 0;
    virtual void post_complete() = 0;
    void start(const boost::asio::any_io_executor& executor, Parts parts);

private:
    enum class Cause { none, awaiter, limit };
    enum class Phase { waiting, running, ended };
    struct Part {
        boost::asio::cancellation_signal signal;
        Phase phase = Phase::waiting;
    };
    class PartEnd;
    template <typename Handler>
    class Handled;
    struct Initiate;

    static boost::asio::awaitable<void> guarded(
        PartGroup* group,
        std::size_t index,
        boost::asio::awaitable<void> body
    );
    void spawn(
        const boost::asio::any_io_executor& executor,
        std::size_t index,
        boost::asio::awaitable<void> body
    );
    void arm(const boost::asio::any_io_executor& executor);
    /// Throws if no part may begin any more.
    void check_wanted() const;
    void ended(std::size_t index, std::exception_ptr error) noexcept;
    void decide(std::size_t index, std::exception_ptr error) noexcept;
    void interrupt(Cause cause);
    void cancel_parts();
    void release(bool inside);

    const Options options_;
    std::vector<Part> parts_;
    const std::size_t count_;
    std::size_t pending_ = 0;  ///< Parts that have not ended and functions at work on the group.
    Cause cause_ = Cause::none;
    bool cancelling_ = false;
    bool decided_ = false;
    bool failed_ = false;  ///< A part failed after the cause.
    std::size_t first_ = 0;
    std::exception_ptr first_error_;
    std::vector<std::exception_ptr> errors_;
    std::optional<boost::asio::steady_timer> timer_;
};

}  // namespace llmproc
