template <class T>
awaitable<void> start(T value) {
    Options options{};
    detail::Box<T> box{value};
    const auto loop = [](int count) { return count; };
    use(options);
    if (value) {
        co_await run(value);
    } else {
        co_return;
    }
    try {
        co_await run(box);
    } catch (const std::exception& error) {
        use(error);
    }
}
template <class T>
Options plain(T value) {
    return Options{value};
}
template <class T>
class Holder {
    awaitable<void> run() { co_await work(); }
};
