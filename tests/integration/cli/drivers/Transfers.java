import java.io.File;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.util.Random;
import javax.sql.XAConnection;
import javax.transaction.xa.XAResource;
import javax.transaction.xa.Xid;
import org.postgresql.xa.PGXADataSource;

/**
 * The same as transfers.py by PGXADataSource, as a transaction manager drives it.
 *
 *     Transfers PORT0 PASSWORD0 PORT1 PASSWORD1 STOPFILE
 */
public class Transfers {
    static final int FORMAT = -131077;

    record Id(int format, byte[] global, byte[] branch) implements Xid {
        public int getFormatId() { return format; }
        public byte[] getGlobalTransactionId() { return global; }
        public byte[] getBranchQualifier() { return branch; }
    }

    static class Member {
        final XAConnection xa;
        final Connection sql;
        final int index;
        Id id;

        Member(String port, String password, int index) throws Exception {
            PGXADataSource source = new PGXADataSource();
            source.setServerNames(new String[] {"127.0.0.1"});
            source.setPortNumbers(new int[] {Integer.parseInt(port)});
            source.setDatabaseName("postgres");
            source.setUser("postgres");
            source.setPassword(password);
            xa = source.getXAConnection();
            sql = xa.getConnection();
            this.index = index;
        }

        void prepare(long number) throws Exception {
            byte[] global = ("\u0000\u00ff" + number).getBytes(StandardCharsets.ISO_8859_1);
            id = new Id(FORMAT, global, new byte[] {(byte) 0x80, (byte) index});
            XAResource resource = xa.getXAResource();
            resource.start(id, XAResource.TMNOFLAGS);
            try (PreparedStatement statement = sql.prepareStatement("INSERT INTO ledger VALUES (?, ?)")) {
                statement.setLong(1, number);
                statement.setLong(2, index == 0 ? -7 : 7);
                statement.executeUpdate();
            }
            resource.end(id, XAResource.TMSUCCESS);
            if (resource.prepare(id) != XAResource.XA_OK) throw new IllegalStateException("read only?");
        }

        void commit() throws Exception { xa.getXAResource().commit(id, false); }
        void rollback() throws Exception { xa.getXAResource().rollback(id); }
    }

    static synchronized void tell(String word, long number) {
        System.out.println(word + " " + number);
        System.out.flush();
    }

    static Member[] connect(String[] args) throws Exception {
        return new Member[] {new Member(args[0], args[1], 0), new Member(args[2], args[3], 1)};
    }

    static void client(String[] args, int worker) throws Exception {
        Member[] members = connect(args);
        Random chance = new Random(worker);
        long number = worker * 1_000_000L;
        while (!new File(args[4]).exists()) {
            ++number;
            for (Member member : members) member.prepare(number);
            if (chance.nextDouble() < 0.1) {
                for (Member member : members) member.rollback();
                tell("no", number);
                continue;
            }
            int first = chance.nextInt(2);
            members[first].commit();
            if (chance.nextDouble() < 0.3) Thread.sleep(50);
            members[1 - first].commit();
            tell("ok", number);
        }
        if (worker != 1) return;
        for (Member member : members) member.prepare(1);
        members[0].commit();
        tell("half", 1);
        for (Member member : connect(args)) member.prepare(2);
        tell("open", 2);
    }

    public static void main(String[] args) throws Exception {
        Thread[] threads = new Thread[3];
        for (int i = 0; i < threads.length; ++i) {
            int worker = i + 1;
            threads[i] = new Thread(() -> {
                try {
                    client(args, worker);
                } catch (Exception error) {
                    error.printStackTrace();
                    System.exit(1);
                }
            });
            threads[i].start();
        }
        for (Thread thread : threads) thread.join();
        System.exit(0);
    }
}
