import java.util.Map;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Runs the tests in order and reports them in the Test Anything Protocol, which the runner reads. A test fails by
 * throwing; nothing is skipped.
 */
final class Tap {
    static final long DEADLINE_SECONDS = 15;

    /** A test of an instance method; what it throws is its failure. */
    interface Test {
        void run(Suite suite) throws Exception;
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    static void same(Object found, Object expected, String what) {
        if (!Objects.equals(found, expected)) {
            throw new AssertionError(what + ": expected " + expected + ", found " + found);
        }
    }

    /** The next element, or a failure that names what was waited for. */
    static <T> T next(BlockingQueue<T> queue, String what) throws InterruptedException {
        T found = queue.poll(DEADLINE_SECONDS, TimeUnit.SECONDS);
        if (found == null) {
            throw new AssertionError("nothing within " + DEADLINE_SECONDS + " s: " + what);
        }
        return found;
    }

    /** Polls a condition until it holds. */
    static void eventually(Condition condition, String what) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(DEADLINE_SECONDS);
        while (!condition.holds()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("not within " + DEADLINE_SECONDS + " s: " + what);
            }
            Thread.sleep(20);
        }
    }

    static boolean attempt(int number, String name, Test test, String url) {
        try (Suite suite = new Suite(url)) {
            test.run(suite);
            System.out.println("ok " + number + " - " + name);
            return true;
        } catch (Throwable failure) {
            System.out.println("not ok " + number + " - " + name + " # " + String.valueOf(failure).replaceAll("\\s+", " "));
            failure.printStackTrace();
            return false;
        }
    }

    public static void main(String[] arguments) {
        Map<String, Test> tests = Suite.tests();
        System.out.println("1.." + tests.size());
        int number = 0;
        boolean passed = true;
        for (Map.Entry<String, Test> test : tests.entrySet()) {
            passed &= attempt(++number, test.getKey(), test.getValue(), System.getenv("AMQP_URL"));
        }
        System.exit(passed ? 0 : 1);
    }
}
