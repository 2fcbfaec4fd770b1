// SPDX-License-Identifier: MIT OR Apache-2.0
package hourseal;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Arrays.copyOfRange;

import com.google.crypto.tink.subtle.Hkdf;
import com.google.crypto.tink.subtle.XChaCha20Poly1305;
import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;

/**
 * Opens sealed records as schemas/envelope.md says. Copy this file: it needs Google's Tink and nothing else.
 *
 * <p>{@code slot(record)} says whose key it is, to ask the key store for; {@code open(record, stream, dek, commitment)}
 * gives what was sealed. Every answer is a value or a Refusal, and no bytes of a record make it throw.
 */
public final class HoursealReader {
  /** Why there is no event, or no DEK, by its name in the specification. The last two are a wrapped DEK's. */
  public enum Refusal {
    NOT_AN_ENVELOPE, UNKNOWN_SUITE, WRONG_KEY, TAMPERED, UNKNOWN_VERSION, UNAUTHENTIC;

    @Override public String toString() { return name().toLowerCase(Locale.ROOT).replace('_', '-'); }
  }

  /** A value, or why there is none: one of them is null. */
  public record Outcome<T>(T value, Refusal refusal) {}

  public record Header(byte[] name, byte[] value) {}

  /** A record of the output topic, as it was consumed. */
  public record Record(byte[] key, List<Header> headers, byte[] value) {}

  /** What has one DEK. A claim, until the record has opened. */
  public record Slot(String customer, long hour, int generation) {}

  /** What was sealed. It happened hour × 3,600,000 + milliseconds after 1970-01-01T00:00Z. */
  public record Event(Slot slot, int milliseconds, byte[] key, List<Header> headers, byte[] payload) {}

  private static final int HEADER = 48, SHORTEST = 68, WRAPPED = 74, KEY = 1, HEADERS = 2, NULL_PAYLOAD = 4;
  private static final byte[] QUARANTINE = "~quarantine".getBytes(UTF_8);
  private static final byte[] CUSTOMER = "hourseal-customer".getBytes(UTF_8);

  private HoursealReader() {}

  /** Steps 1 and 2: the slot whose DEK and commitment the key store has to give. */
  public static Outcome<Slot> slot(Record record) {
    return answer(() -> slotOf(customerOf(record), record.value));
  }

  /** Steps 1 to 5, with the DEK and the commitment that the key store has for the record's slot. */
  public static Outcome<Event> open(Record record, String stream, byte[] dek, byte[] commitment) {
    return answer(() -> opened(record.value, customerOf(record), stream, dek, commitment));
  }

  /** The same for who knows the customer otherwise. */
  public static Outcome<Event> open(byte[] envelope, String customer, String stream, byte[] dek, byte[] commitment) {
    return answer(() -> opened(envelope, customer.getBytes(UTF_8), stream, dek, commitment));
  }

  /** The DEK of a slot, out of the key store's row. */
  public static Outcome<byte[]> unwrap(byte[] row, byte[] kek, String kekId, Slot slot, byte[] commitment) {
    return answer(() -> {
      require(row.length >= 1 && row[0] == 1, Refusal.UNKNOWN_VERSION);
      require(row.length >= 2 && row[1] == 1, Refusal.UNKNOWN_SUITE);
      require(row.length == WRAPPED, Refusal.UNAUTHENTIC);
      byte[] label = "hourseal/1 wrap".getBytes(UTF_8);
      byte[] wrapKey = hkdf(kek, join(label, sized(kekId.getBytes(UTF_8))), 32, Refusal.UNAUTHENTIC);
      byte[] aad = join(label, place(slot), commitment);
      byte[] dek = decrypt(wrapKey, copyOfRange(row, 2, WRAPPED), aad, Refusal.UNAUTHENTIC);
      derive(dek, slot, commitment);
      return dek;
    });
  }

  /** The first step that failed, on its way to the answer. */
  private static final class Refused extends RuntimeException {
    final Refusal why;

    Refused(Refusal why) { super(null, null, false, false); this.why = why; }
  }

  private static <T> Outcome<T> answer(Supplier<T> steps) {
    try {
      return new Outcome<>(steps.get(), null);
    } catch (Refused refused) {
      return new Outcome<>(null, refused.why);
    }
  }

  private static void require(boolean condition, Refusal otherwise) { if (!condition) throw new Refused(otherwise); }

  /** Step 1, but for the form of the id. */
  private static byte[] customerOf(Record record) {
    List<Header> named = record.headers.stream().filter(header -> Arrays.equals(header.name, CUSTOMER)).toList();
    require(named.size() <= 1, Refusal.NOT_AN_ENVELOPE);
    return named.isEmpty() ? record.key : named.get(0).value;
  }

  /** The rest of step 1, and step 2. */
  private static Slot slotOf(byte[] id, byte[] value) {
    require(id != null && id.length >= 1 && id.length <= 256, Refusal.NOT_AN_ENVELOPE);
    require(id[0] != '~' || Arrays.equals(id, QUARANTINE), Refusal.NOT_AN_ENVELOPE);
    String customer = new String(id, UTF_8);
    require(Arrays.equals(customer.getBytes(UTF_8), id), Refusal.NOT_AN_ENVELOPE); // what is not UTF-8 is replaced
    require(value != null && value.length >= 2 && value[0] == (byte) 0xE9, Refusal.NOT_AN_ENVELOPE);
    require(value[1] == 1, Refusal.UNKNOWN_SUITE);
    require(value.length >= SHORTEST, Refusal.NOT_AN_ENVELOPE);
    ByteBuffer header = ByteBuffer.wrap(value);
    return new Slot(customer, Integer.toUnsignedLong(header.getInt(4)), Short.toUnsignedInt(header.getShort(2)));
  }

  private static Event opened(byte[] value, byte[] id, String stream, byte[] dek, byte[] commitment) {
    Slot slot = slotOf(id, value);
    byte[] own = derive(dek, slot, commitment);
    require(MessageDigest.isEqual(copyOfRange(own, 32, 48), copyOfRange(value, 8, 24)), Refusal.WRONG_KEY);
    byte[] aad = join(copyOfRange(value, 0, HEADER), sized(id), sized(stream.getBytes(UTF_8)));
    byte[] frame = decrypt(copyOfRange(own, 0, 32), copyOfRange(value, 24, value.length), aad, Refusal.TAMPERED);
    return parse(ByteBuffer.wrap(frame), slot);
  }

  /** Step 3 but for the key_id: seal key ‖ commitment, which fits no other DEK and no other slot. */
  private static byte[] derive(byte[] dek, Slot slot, byte[] commitment) {
    byte[] info = join("hourseal/1 dek\u0001".getBytes(UTF_8), place(slot));
    byte[] okm = hkdf(dek, info, 64, Refusal.WRONG_KEY);
    require(MessageDigest.isEqual(copyOfRange(okm, 32, 64), commitment), Refusal.WRONG_KEY);
    return okm;
  }

  /** Step 4, of nonce ‖ ciphertext ‖ tag. */
  private static byte[] decrypt(byte[] key, byte[] sealed, byte[] aad, Refusal otherwise) {
    try {
      return new XChaCha20Poly1305(key).decrypt(sealed, aad);
    } catch (GeneralSecurityException unauthentic) {
      throw new Refused(otherwise);
    }
  }

  /** Step 5. */
  private static Event parse(ByteBuffer frame, Slot slot) {
    int flags = frame.get(), milliseconds = (int) number(frame, 3);
    require((flags & ~(KEY | HEADERS | NULL_PAYLOAD)) == 0 && milliseconds < 3_600_000, Refusal.TAMPERED);
    byte[] key = (flags & KEY) == 0 ? null : take(frame, number(frame, 4));
    List<Header> headers = new ArrayList<>();
    if ((flags & HEADERS) != 0) {
      long count = number(frame, 2);
      require(count > 0, Refusal.TAMPERED);
      for (; count > 0; count--) {
        byte[] name = take(frame, number(frame, 2));
        long length = number(frame, 4);
        headers.add(new Header(name, length == 0xFFFFFFFFL ? null : take(frame, length)));
      }
    }
    boolean none = (flags & NULL_PAYLOAD) != 0;
    require(!none || !frame.hasRemaining(), Refusal.TAMPERED);
    return new Event(slot, milliseconds, key, headers, none ? null : take(frame, frame.remaining()));
  }

  private static byte[] take(ByteBuffer frame, long length) {
    require(length <= frame.remaining(), Refusal.TAMPERED); // before anything is allocated for it
    byte[] taken = new byte[(int) length];
    frame.get(taken);
    return taken;
  }

  private static long number(ByteBuffer frame, int width) {
    long number = 0;
    for (byte digit : take(frame, width)) number = number << 8 | Byte.toUnsignedInt(digit);
    return number;
  }

  private static byte[] place(Slot slot) {
    ByteBuffer tail = ByteBuffer.allocate(6).putInt((int) slot.hour).putShort((short) slot.generation);
    return join(sized(slot.customer.getBytes(UTF_8)), tail.array());
  }

  private static byte[] sized(byte[] data) {
    return join(new byte[] {(byte) (data.length >> 8), (byte) data.length}, data);
  }

  private static byte[] join(byte[]... parts) {
    ByteBuffer joined = ByteBuffer.allocate(Arrays.stream(parts).mapToInt(part -> part.length).sum());
    for (byte[] part : parts) joined.put(part);
    return joined.array();
  }

  private static byte[] hkdf(byte[] ikm, byte[] info, int length, Refusal otherwise) {
    try {
      return Hkdf.computeHkdf("HmacSha256", ikm, new byte[0], info, length);
    } catch (GeneralSecurityException | IllegalArgumentException empty) {
      throw new Refused(otherwise);
    }
  }
}
